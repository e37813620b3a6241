package dev.runwire;

import static org.junit.jupiter.api.Assertions.assertEquals;
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
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class MetricWriterTest {
  /** Keeps batches as the real one does, and ends streams and calls as it is told. */
  private static final class Store extends MetricServiceGrpc.MetricServiceImplBase {
    final List<MetricBatch> batches = new ArrayList<>();
    int cutAfter = Integer.MAX_VALUE;
    int streams;
    Status refuse;
    boolean stop;
    Rejection rejection;

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
            } else if (request.hasBatch()) {
              keep(request.getBatch());
              if (++taken >= cutAfter) { // stored, and never acknowledged
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
  private Server server;
  private RunwireClient client;

  @BeforeEach
  void start() throws IOException {
    server =
        Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
            .addService(store)
            .build()
            .start();
    client = RunwireClient.connect("grpc://127.0.0.1:" + server.getPort());
  }

  @AfterEach
  void stop() throws InterruptedException {
    client.close();
    server.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
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
    for (MetricBatch batch : store.batches) {
      assertTrue(batch.getSerializedSize() <= (1 << 20) * 3 / 2);
    }
  }
}
