package dev.runwire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.runwire.v1.Fault;
import dev.runwire.v1.Frame;
import dev.runwire.v1.LogBatchRequest;
import dev.runwire.v1.LogBatchResponse;
import dev.runwire.v1.MetricBatch;
import dev.runwire.v1.MetricServiceGrpc;
import dev.runwire.v1.Rejection;
import dev.runwire.v1.StreamBatchesRequest;
import dev.runwire.v1.StreamBatchesResponse;
import dev.runwire.v1.WriteAck;
import dev.runwire.v1.WriteAdvice;
import io.grpc.BindableService;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;

@Timeout(60)
class MetricWriterTest extends ServedTest {
  /** Keeps batches as the real one does, and ends streams and calls as it is told. */
  private static final class Store extends MetricServiceGrpc.MetricServiceImplBase {
    final List<MetricBatch> batches = new ArrayList<>();
    int cutAfter = Integer.MAX_VALUE;
    int streams;
    Status refuse;
    boolean stop;
    Rejection rejection;
    boolean holdsAcks;
    StreamObserver<StreamBatchesResponse> held;
    final CountDownLatch arrived = new CountDownLatch(1);

    @Override
    public synchronized void logBatch(
        LogBatchRequest request, StreamObserver<LogBatchResponse> answer) {
      keep(request.getBatch());
      answer.onNext(LogBatchResponse.newBuilder().setAck(ack()).setAdvice(advice()).build());
      answer.onCompleted();
    }

    @Override
    public StreamObserver<StreamBatchesRequest> streamBatches(
        StreamObserver<StreamBatchesResponse> answer) {
      synchronized (this) {
        streams++;
      }
      return new StreamObserver<>() {
        private int taken;
        private boolean isOver;

        @Override
        public void onNext(StreamBatchesRequest request) {
          synchronized (Store.this) {
            if (isOver) {
              return;
            }
            if (refuse != null) {
              isOver = true;
              answer.onError(refuse.asRuntimeException());
            } else if (request.hasOpen()) {
              answer.onNext(
                  StreamBatchesResponse.newBuilder()
                      .setOpened(
                          StreamBatchesResponse.Opened.newBuilder()
                              .setCommittedSequence(batches.size())
                              .setAdvice(advice()))
                      .build());
            } else if (request.getBatch().getSerializedSize() > 1 << 20) {
              isOver = true;
              answer.onError(Status.RESOURCE_EXHAUSTED.asRuntimeException());
            } else if (request.hasBatch()) {
              keep(request.getBatch());
              arrived.countDown();
              if (holdsAcks) {
                held = answer;
              } else if (++taken >= cutAfter) { // stored, and never acknowledged
                isOver = true;
                answer.onError(Status.UNAVAILABLE.asRuntimeException());
              } else {
                answer.onNext(StreamBatchesResponse.newBuilder().setAck(ack()).build());
              }
            }
          }
        }

        @Override
        public void onError(Throwable gone) {}

        @Override
        public void onCompleted() {
          synchronized (Store.this) {
            if (!isOver) {
              answer.onCompleted();
            }
          }
        }
      };
    }

    private void keep(MetricBatch batch) {
      if (batch.getSequence() == batches.size() + 1) {
        batches.add(batch);
      } else {
        assertTrue(batch.getSequence() <= batches.size(), "a batch is missing");
        if (batch.getSequence() > 0) {
          assertEquals(batches.get((int) batch.getSequence() - 1), batch, "it was changed");
        }
      }
    }

    synchronized void acknowledge() {
      holdsAcks = false;
      held.onNext(StreamBatchesResponse.newBuilder().setAck(ack()).build());
    }

    private WriteAck ack() {
      WriteAck.Builder ack = WriteAck.newBuilder().setCommittedSequence(batches.size());
      if (rejection != null) {
        ack.addRejections(rejection);
        rejection = null;
      }
      return ack.build();
    }

    private WriteAdvice advice() {
      return WriteAdvice.newBuilder().setStopRequested(stop).build();
    }

    synchronized Map<String, Integer> points() {
      Map<String, Integer> found = new HashMap<>();
      for (MetricBatch batch : batches) {
        Map<Integer, String> names = new HashMap<>();
        batch.getSeriesList().forEach(one -> names.put(one.getId(), one.getKey()));
        for (Frame frame : batch.getFramesList()) {
          frame
              .getSeriesList()
              .forEach(id -> found.merge(names.get(id), frame.getStepsCount(), Integer::sum));
        }
      }
      return found;
    }
  }

  private final Store store = new Store();

  @Override
  BindableService service() {
    return store;
  }

  private MetricWriter.Options.Builder small() {
    return MetricWriter.Options.builder().maxBatchBytes(2000).flushInterval(Duration.ofMillis(20));
  }

  @Test
  void everyPointArrivesOnceThroughCuts() throws InterruptedException {
    store.cutAfter = 3;
    try (MetricWriter writer = client.writer("run", small().build())) {
      List<Thread> threads = new ArrayList<>();
      for (int number = 0; number < 4; number++) {
        String key = "key" + number;
        Thread thread =
            new Thread(
                () -> {
                  for (int step = 0; step < 300; step++) {
                    writer.log(key, step, step);
                  }
                });
        thread.start();
        threads.add(thread);
      }
      for (Thread thread : threads) {
        thread.join();
      }
      writer.flush(Duration.ofSeconds(30));
    }
    assertEquals(Map.of("key0", 300, "key1", 300, "key2", 300, "key3", 300), store.points());
  }

  @Test
  void batchesGoAloneWhereStreamsDoNotPass() {
    store.refuse = Status.UNIMPLEMENTED;
    try (MetricWriter writer = client.writer("run", small().build())) {
      writer.log("loss", 1, 1);
    }
    assertEquals(Map.of("loss", 1), store.points());
    assertEquals(1, store.streams);
  }

  @Test
  void errorThatDoesNotPassEndsTheWriterAndIsTold() throws InterruptedException {
    store.refuse = Status.NOT_FOUND.withDescription("no run");
    CountDownLatch told = new CountDownLatch(1);
    MetricWriter writer = client.writer("run", small().onError(error -> told.countDown()).build());
    writer.log("loss", 1, 1);
    RunwireException error =
        assertThrows(RunwireException.class, () -> writer.flush(Duration.ofSeconds(30)));
    assertEquals(RunwireException.Code.NOT_FOUND, error.code());
    assertTrue(told.await(60, TimeUnit.SECONDS));
    writer.log("loss", 2, 2);
    assertEquals(2, writer.droppedPoints());
    assertThrows(RunwireException.class, writer::close);
  }

  @Test
  void fullWriterDropsAndCounts() throws InterruptedException {
    server.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
    MetricWriter.Options options =
        small()
            .maxBufferedBytes(10_000)
            .whenFull(MetricWriter.WhenFull.DROP)
            .closeTimeout(Duration.ofMillis(10))
            .build();
    MetricWriter writer = client.writer("run", options);
    for (int step = 0; step < 10_000; step++) {
      writer.log("loss", 1, step);
    }
    assertTrue(writer.droppedPoints() > 9000);
    RunwireException error = assertThrows(RunwireException.class, writer::close);
    assertEquals(RunwireException.Code.DEADLINE_EXCEEDED, error.code());
  }

  @Test
  void callbacksHearOfStopsAndRejections() throws InterruptedException {
    store.stop = true;
    store.rejection =
        Rejection.newBuilder()
            .setKey("bad")
            .setFault(Fault.newBuilder().setReason("QUOTA"))
            .build();
    CountDownLatch heard = new CountDownLatch(2);
    MetricWriter.Options options =
        small()
            .onStopRequested(heard::countDown)
            .onRejection(
                one -> {
                  heard.countDown();
                  throw new IllegalStateException("theirs");
                })
            .build();
    try (MetricWriter writer = client.writer("run", options)) {
      writer.log("loss", 1, 1);
      assertTrue(heard.await(60, TimeUnit.SECONDS));
      assertTrue(writer.isStopRequested());
      assertEquals("bad", writer.rejections().get(0).getKey());
    }
  }

  @Test
  void rowThatIsWiderThanABatchGoesInParts() {
    Map<String, Double> wide = new HashMap<>();
    for (int key = 0; key < 20_000; key++) {
      wide.put("a rather long key of a metric number " + key, 1.0);
    }
    try (MetricWriter writer = client.writer("run")) {
      writer.log(wide, 1);
    }
    assertEquals(20_000, store.points().size());
  }

  private MetricWriter.Options.Builder patient() {
    return MetricWriter.Options.builder().flushInterval(Duration.ofHours(1));
  }

  private static Map<String, Double> row(int keys, String prefix) {
    Map<String, Double> row = new LinkedHashMap<>();
    for (int key = 0; key < keys; key++) {
      row.put(prefix + key, (double) key);
    }
    return row;
  }

  @Test
  void wideRowsNeverMakeABatchThatIsTooLarge() {
    Map<String, Double> row = row(1000, "key");
    try (MetricWriter writer = client.writer("run", patient().build())) {
      for (int step = 0; step < 400; step++) {
        writer.log(row, step);
      }
    }
    assertEquals(1000, store.points().size());
    assertEquals(400, store.points().get("key7"));
  }

  @Test
  void paramThatDoesNotFitGoesIntoTheNextBatch() {
    try (MetricWriter writer = client.writer("run", patient().maxBatchBytes(4 << 20).build())) {
      for (int step = 0; step < 43_600; step++) {
        writer.log("loss", 1, step);
      }
      writer.logParams(Map.of("config", "x".repeat(60_000)));
    }
    assertEquals(Map.of("loss", 43_600), store.points());
    assertEquals(60_000, store.batches.get(1).getParamsOrThrow("config").length());
  }

  @Test
  void rowOfLongKeysGoesInParts() {
    try (MetricWriter writer = client.writer("run", patient().build())) {
      writer.log(row(1000, "k".repeat(4000)), 1);
    }
    assertEquals(1000, store.points().size());
  }

  private static void assertRefused(String field, Executable call) {
    RunwireException error = assertThrows(RunwireException.class, call);
    assertEquals(RunwireException.Code.INVALID_ARGUMENT, error.code());
    assertEquals("FIELD_INVALID", error.reason());
    assertEquals(field, error.metadata().get("field"));
  }

  @Test
  void whatIsTooLargeIsRefusedAtOnceAndAlone() {
    String large = "x".repeat(1_100_000);
    Map<String, String> notes = new LinkedHashMap<>(Map.of("fine", "too"));
    notes.put("config", large);
    try (MetricWriter writer = client.writer("run", patient().build())) {
      assertRefused("value", () -> writer.logParams(notes));
      assertRefused("value", () -> writer.logTags(Map.of(large, "")));
      assertRefused("value", () -> writer.logTags(Map.of("tag", "ä".repeat(140_000))));
      assertRefused("key", () -> writer.log(large, 1, 1));
      assertRefused("key", () -> writer.log(Map.of("fine", 1, "ä".repeat(2049), 1), 1));
      writer.log("k".repeat(4096), 1, 1);
      writer.logParams(Map.of("config", "x".repeat(200_000)));
    }
    assertEquals(Map.of("k".repeat(4096), 1), store.points());
    assertEquals(List.of("config"), List.copyOf(store.batches.get(0).getParamsMap().keySet()));
  }

  @Test
  void paramsThatContradictGoInSeparateBatches() {
    try (MetricWriter writer = client.writer("run", patient().build())) {
      for (String value : List.of("1", "1", "2")) {
        writer.logParams(Map.of("lr", value));
      }
      writer.logTags(Map.of("a", "b"));
    }
    List<String> values =
        store.batches.stream().map(batch -> batch.getParamsOrDefault("lr", "")).toList();
    assertEquals(List.of("1", "2"), values);
  }

  @Test
  void rowWithNullLeavesNothingBehind() {
    Map<String, Double> row = new LinkedHashMap<>();
    row.put("a", 7.0);
    row.put("b", null);
    try (MetricWriter writer = client.writer("run", patient().build())) {
      assertThrows(NullPointerException.class, () -> writer.log(row, 5));
      row.put("b", 2.0);
      writer.log(row, 6);
    }
    assertEquals(Map.of("a", 1, "b", 1), store.points());
    assertEquals(List.of(6L), store.batches.get(0).getFrames(0).getStepsList());
  }

  @Test
  void whatIsLoggedWhileItClosesIsCountedAsDropped() throws Exception {
    store.holdsAcks = true;
    MetricWriter writer = client.writer("run", patient().build());
    writer.log("loss", 1, 1);
    CompletableFuture<Void> closed = CompletableFuture.runAsync(writer::close);
    assertTrue(store.arrived.await(60, TimeUnit.SECONDS)); // only close sends it
    writer.log("loss", 2, 2);
    writer.log(Map.of("loss", 3, "accuracy", 3), 3);
    assertEquals(3, writer.droppedPoints());
    store.acknowledge();
    closed.get(60, TimeUnit.SECONDS);
    assertEquals(Map.of("loss", 1), store.points());
    assertNull(writer.failure());
  }

  @Test
  void whatIsLeftAtTheEndOfCloseIsCountedAsDropped() {
    store.holdsAcks = true;
    MetricWriter writer =
        client.writer("run", patient().closeTimeout(Duration.ofMillis(10)).build());
    for (int step = 0; step < 5; step++) {
      writer.log("loss", 1, step);
    }
    RunwireException error = assertThrows(RunwireException.class, writer::close);
    assertEquals(RunwireException.Code.DEADLINE_EXCEEDED, error.code());
    assertEquals(5, writer.droppedPoints());
    assertEquals(error, writer.failure());
  }

  @Test
  void callbackMayWaitForWhatItLogs() throws Exception {
    store.rejection = Rejection.newBuilder().setKey("bad").build();
    CompletableFuture<MetricWriter> opened = new CompletableFuture<>();
    CompletableFuture<Void> flushed = new CompletableFuture<>();
    Consumer<Rejection> callback =
        one -> {
          try {
            opened.join().log("after", 1, 1);
            opened.join().flush(Duration.ofSeconds(10));
            flushed.complete(null);
          } catch (RunwireException error) {
            flushed.completeExceptionally(error);
          }
        };
    try (MetricWriter writer = client.writer("run", small().onRejection(callback).build())) {
      opened.complete(writer);
      writer.log("bad", 1, 1);
      flushed.get(60, TimeUnit.SECONDS);
    }
    assertEquals(Map.of("bad", 1, "after", 1), store.points());
  }

  @Test
  void callbackMayCloseAndItsThreadEnds() throws Exception {
    store.stop = true;
    CompletableFuture<MetricWriter> opened = new CompletableFuture<>();
    CompletableFuture<Thread> closed = new CompletableFuture<>();
    Runnable callback =
        () -> {
          try {
            opened.join().log("last", 1, 2);
            opened.join().close();
            closed.complete(Thread.currentThread());
          } catch (RunwireException error) {
            closed.completeExceptionally(error);
          }
        };
    MetricWriter.Options options =
        small().closeTimeout(Duration.ofSeconds(10)).onStopRequested(callback).build();
    MetricWriter writer = client.writer("run", options);
    opened.complete(writer);
    writer.log("loss", 1, 1);
    Thread thread = closed.get(60, TimeUnit.SECONDS);
    assertTrue(thread.isDaemon());
    assertEquals("runwire-writer-told", thread.getName());
    thread.join(60_000);
    assertFalse(thread.isAlive());
    assertEquals(Map.of("loss", 1, "last", 1), store.points());
  }

  @Test
  void closedClientEndsTheWriter() throws Exception {
    store.holdsAcks = true;
    CompletableFuture<RunwireException> told = new CompletableFuture<>();
    MetricWriter writer = client.writer("run", small().onError(told::complete).build());
    writer.log("loss", 1, 1);
    assertTrue(store.arrived.await(60, TimeUnit.SECONDS));
    client.close();
    RunwireException error =
        assertThrows(RunwireException.class, () -> writer.flush(Duration.ofSeconds(30)));
    assertEquals(RunwireException.Code.CANCELLED, error.code());
    assertEquals(error, writer.failure());
    assertEquals(error, told.get(60, TimeUnit.SECONDS));
    assertEquals(1, writer.droppedPoints());
  }

  @Test
  void writerOfAClosedClientFails() {
    client.close();
    MetricWriter writer = client.writer("run", small().build());
    writer.log("loss", 1, 1);
    RunwireException error =
        assertThrows(RunwireException.class, () -> writer.flush(Duration.ofSeconds(30)));
    assertEquals(RunwireException.Code.CANCELLED, error.code());
    assertEquals(error, writer.failure());
  }

  @Test
  void timesMayBeForever() {
    Duration forever = ChronoUnit.FOREVER.getDuration();
    MetricWriter.Options options =
        MetricWriter.Options.builder()
            .flushInterval(forever)
            .blockFor(forever)
            .closeTimeout(forever)
            .build();
    try (MetricWriter writer = client.writer("run", options)) {
      writer.log("loss", 1, 1);
      writer.flush(forever);
      writer.log("loss", 1, 2);
    }
    assertEquals(Map.of("loss", 2), store.points());
    assertTrue(Waiting.nanos(forever.negated()) < 0);
    assertEquals(7, Waiting.nanos(Duration.ofNanos(7)));
  }
}
