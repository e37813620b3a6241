package dev.runwire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.protobuf.Any;
import com.google.rpc.RetryInfo;
import com.google.rpc.Status;
import dev.runwire.v1.GetRunRequest;
import dev.runwire.v1.GetRunResponse;
import dev.runwire.v1.RunServiceGrpc;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.InsecureServerCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Server;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class CallerTest {
  /** Even where gRPC has given back the threads by then that would tell how a call ended. */
  @Test
  void callThatWaitsForAnotherAttemptFailsWhenItsClientIsClosed() throws Exception {
    Server server = unavailable(Duration.ofSeconds(3));
    ManagedChannel channel =
        Grpc.newChannelBuilder("127.0.0.1:" + server.getPort(), InsecureChannelCredentials.create())
            .build();
    var timer = new ScheduledThreadPoolExecutor(1);
    Caller caller = new Caller(channel, Duration.ofSeconds(30), "default", "java/test", timer);
    var answer =
        caller.callAsync(RunServiceGrpc.getGetRunMethod(), GetRunRequest.getDefaultInstance());
    while (timer.getQueue().isEmpty() && !answer.isDone()) {
      Thread.sleep(1);
    }
    timer.shutdown(); // as a client does that is closed
    channel.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
    ExecutionException failed =
        assertThrows(ExecutionException.class, () -> answer.get(30, TimeUnit.SECONDS));
    RunwireException error = assertInstanceOf(RunwireException.class, failed.getCause());
    assertEquals(RunwireException.Code.CANCELLED, error.code());
    server.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
  }

  private static Server unavailable(Duration retryAfter) throws IOException {
    RetryInfo retry =
        RetryInfo.newBuilder()
            .setRetryDelay(
                com.google.protobuf.Duration.newBuilder().setSeconds(retryAfter.toSeconds()))
            .build();
    Status status =
        Status.newBuilder()
            .setCode(io.grpc.Status.Code.UNAVAILABLE.value())
            .addDetails(Any.pack(retry))
            .build();
    return Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
        .directExecutor() // or it would share, and keep, the threads of the client
        .addService(
            new RunServiceGrpc.RunServiceImplBase() {
              @Override
              public void getRun(GetRunRequest request, StreamObserver<GetRunResponse> answer) {
                answer.onError(StatusProto.toStatusRuntimeException(status));
              }
            })
        .build()
        .start();
  }
}
