package dev.runwire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.runwire.v1.Fault;
import dev.runwire.v1.ModelVersion;
import dev.runwire.v1.RegistryServiceGrpc;
import dev.runwire.v1.ResolveModelsRequest;
import dev.runwire.v1.ResolveModelsResponse;
import dev.runwire.v1.WatchModelsRequest;
import dev.runwire.v1.WatchModelsResponse;
import io.grpc.BindableService;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class ModelWatcherTest extends ServedTest {
  /** Models of which only so many fit into an answer, and one of them into none. */
  private static final class Registry extends RegistryServiceGrpc.RegistryServiceImplBase {
    static final int FIT = 2;
    final List<Integer> asked = new ArrayList<>();

    @Override
    public void watchModels(
        WatchModelsRequest request, StreamObserver<WatchModelsResponse> answer) {
      answer.onNext(
          WatchModelsResponse.newBuilder()
              .setMark(WatchModelsResponse.Mark.getDefaultInstance())
              .setRevision(1)
              .build());
    }

    @Override
    public synchronized void resolveModels(
        ResolveModelsRequest request, StreamObserver<ResolveModelsResponse> answer) {
      asked.add(request.getReferencesCount());
      ResolveModelsResponse.Builder response = ResolveModelsResponse.newBuilder().setRevision(1);
      int room = FIT;
      for (String reference : request.getReferencesList()) {
        if (!reference.startsWith("huge") && room-- > 0) {
          response.addResolvedBuilder().setReference(reference).setModelVersion(version(reference));
        } else {
          response
              .addResolvedBuilder()
              .setReference(reference)
              .setFault(Fault.newBuilder().setReason("TOO_LARGE"));
        }
      }
      answer.onNext(response.build());
      answer.onCompleted();
    }

    private static ModelVersion version(String reference) {
      return ModelVersion.newBuilder().setModel(reference).setVersion(1).build();
    }
  }

  private final Registry registry = new Registry();

  @Override
  BindableService service() {
    return registry;
  }

  @Test
  void whatDoesNotFitWithTheOthersIsAskedForAlone() throws InterruptedException {
    String[] references = {"a@x", "b@x", "huge@x", "c@x", "d@x", "e@x"};
    try (ModelWatcher watcher = client.watchModels(references).start()) {
      assertTrue(watcher.awaitReady(Duration.ofSeconds(30)));
      for (String reference : List.of("a@x", "b@x", "c@x", "d@x", "e@x")) {
        assertEquals(reference, watcher.get(reference).getModel());
      }
      RunwireException error = assertThrows(RunwireException.class, () -> watcher.get("huge@x"));
      assertEquals("TOO_LARGE", error.reason());
    }
    assertEquals(List.of(6, 4, 2, 1), registry.asked);
  }

  @Test
  void timesMayBeForever() throws InterruptedException {
    Duration forever = Duration.ofSeconds(Long.MAX_VALUE);
    String uri = "grpc://127.0.0.1:" + server.getPort();
    try (RunwireClient patient = RunwireClient.builder().uri(uri).timeout(forever).build();
        ModelWatcher watcher = patient.watchModels("a@x").start()) {
      assertTrue(watcher.awaitReady(forever));
      assertEquals("a@x", watcher.get("a@x").getModel());
    }
  }

  @Test
  void closedClientEndsTheThreads() throws Exception {
    CompletableFuture<Thread> told = new CompletableFuture<>();
    ModelWatcher watcher =
        client.watchModels("a@x").onChange(change -> told.complete(Thread.currentThread())).start();
    Thread thread = told.get(60, TimeUnit.SECONDS);
    client.close();
    thread.join(30_000);
    assertFalse(thread.isAlive());
    assertFalse(watcher.isConnected());
    assertEquals("a@x", watcher.get("a@x").getModel());
  }

  @Test
  void watcherOfAClosedClientSaysSo() throws Exception {
    client.close();
    ModelWatcher watcher = client.watchModels("a@x").start();
    watcher.join();
    RunwireException error = assertThrows(RunwireException.class, () -> watcher.get("a@x"));
    assertEquals(RunwireException.Code.CANCELLED, error.code());
  }
}
