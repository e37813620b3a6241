package dev.runwire;

import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.runwire.v1.GetRunRequest;
import dev.runwire.v1.GetRunResponse;
import dev.runwire.v1.RunServiceGrpc;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class CallerTest {
  @Test
  void callThatWaitsForAnotherAttemptFailsWhenItsClientIsClosed()
      throws IOException, InterruptedException {
    CountDownLatch asked = new CountDownLatch(1);
    Server server =
        Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
            .addService(
                new RunServiceGrpc.RunServiceImplBase() {
                  @Override
                  public void getRun(GetRunRequest request, StreamObserver<GetRunResponse> answer) {
                    answer.onError(Status.UNAVAILABLE.asRuntimeException());
                    asked.countDown();
                  }
                })
            .build()
            .start();
    RunwireClient client = RunwireClient.connect("grpc://127.0.0.1:" + server.getPort());
    CompletableFuture<GetRunResponse> answer = client.runs().getAsync("x");
    asked.await();
    client.close();
    ExecutionException failed =
        assertThrows(ExecutionException.class, () -> answer.get(30, TimeUnit.SECONDS));
    RunwireException error = assertInstanceOf(RunwireException.class, failed.getCause());
    // The second: its first answer had not come when the client was closed.
    Set<RunwireException.Code> codes =
        Set.of(RunwireException.Code.UNAVAILABLE, RunwireException.Code.CANCELLED);
    assertTrue(codes.contains(error.code()), error::toString);
    server.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
  }
}
