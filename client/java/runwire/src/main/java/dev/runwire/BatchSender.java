package dev.runwire;

import dev.runwire.Backlog.Sealed;
import dev.runwire.v1.LogBatchRequest;
import dev.runwire.v1.LogBatchResponse;
import dev.runwire.v1.MetricServiceGrpc;
import dev.runwire.v1.Rejection;
import dev.runwire.v1.WriteAck;
import dev.runwire.v1.WriteAdvice;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;

/**
 * The thread of a writer: a stream while there is something to send, single calls where streams do
 * not pass, a heartbeat where there is nothing to say.
 */
final class BatchSender {
  private static final double FIRST_DELAY_S = 0.1;
  private static final double MAX_DELAY_S = 5.0;
  private static final long HEARTBEAT_NANOS = TimeUnit.SECONDS.toNanos(15);
  // Without streams for so long where one failed for a reason that is not our server's.
  private static final long MISTRUST_NANOS = TimeUnit.SECONDS.toNanos(10);
  private static final int KEPT_REJECTIONS = 1000;

  private final Caller caller;
  private final String runId;
  private final String writerId;
  private final Backlog backlog;
  private final MetricWriter.Options options;
  private final Thread thread;
  // Not the thread that hears what is acknowledged: a callback may wait for that, or close.
  private final ExecutorService callbacks =
      Executors.newSingleThreadExecutor(Threads.named("runwire-writer-told"));
  private final List<Rejection> rejections = new ArrayList<>();
  private volatile boolean stopRequested;
  private volatile long minIntervalNanos;
  private volatile int maxUnacked;
  private long mistrustUntil = System.nanoTime();
  private long spokenAt = System.nanoTime();
  private int failures;

  BatchSender(
      Caller caller, String runId, String writerId, Backlog backlog, MetricWriter.Options options) {
    this.caller = caller;
    this.runId = runId;
    this.writerId = writerId;
    this.backlog = backlog;
    this.options = options;
    this.thread = Threads.named("runwire-writer").newThread(this::work);
  }

  void start() {
    thread.start();
  }

  void close() {
    thread.interrupt();
  }

  boolean isStopRequested() {
    return stopRequested;
  }

  List<Rejection> rejections() {
    synchronized (rejections) {
      return List.copyOf(rejections);
    }
  }

  long minIntervalNanos() {
    return minIntervalNanos;
  }

  int maxUnacked() {
    return maxUnacked;
  }

  private void work() {
    try {
      while (!backlog.isClosed() && backlog.failure() == null) {
        try {
          step();
        } catch (RuntimeException error) {
          failed(error);
        }
      }
    } catch (InterruptedException closed) {
      Thread.currentThread().interrupt();
    } finally {
      callbacks.shutdown(); // after what is still to be told
    }
  }

  private void step() throws InterruptedException {
    long seen = backlog.news();
    if (backlog.after(backlog.acknowledged()) != null) {
      if (System.nanoTime() - mistrustUntil >= 0) {
        new BatchStream(caller, runId, writerId, backlog, this).run();
      } else {
        sendOne(backlog.after(backlog.acknowledged()));
      }
      spokenAt = System.nanoTime();
      return;
    }
    long quiet = System.nanoTime() - spokenAt;
    if (quiet >= HEARTBEAT_NANOS) {
      spokenAt = System.nanoTime();
      sendOne(null);
    } else {
      backlog.await(seen, HEARTBEAT_NANOS - quiet);
    }
  }

  /** A call of its own: any proxy lets it pass. */
  private void sendOne(Sealed batch) throws InterruptedException {
    LogBatchRequest.Builder request =
        LogBatchRequest.newBuilder().setRunId(runId).setWriterId(writerId);
    if (batch != null) {
      request.setBatch(batch.message());
    }
    LogBatchResponse response =
        caller.call(MetricServiceGrpc.getLogBatchMethod(), request.build(), Duration.ofSeconds(30));
    heard();
    take(response.getAck());
    take(response.getAdvice());
    TimeUnit.NANOSECONDS.sleep(batch == null ? 0 : minIntervalNanos);
  }

  private void failed(RuntimeException thrown) throws InterruptedException {
    if (Thread.currentThread().isInterrupted()) {
      throw new InterruptedException();
    }
    if (caller.isClosed()) {
      end(Caller.closed());
    } else if (thrown instanceof RunwireException error && goesBy(error)) {
      waitAfter(error);
    } else {
      end(Errors.of(thrown));
    }
  }

  private void end(RunwireException error) {
    if (backlog.fail(error)) {
      tell(() -> options.onError().accept(error));
    }
  }

  private void waitAfter(RunwireException error) throws InterruptedException {
    if (error.reason().isEmpty()) {
      mistrustUntil = System.nanoTime() + MISTRUST_NANOS;
    }
    failures++;
    double delay = Retry.backoffSeconds(error, failures, FIRST_DELAY_S, MAX_DELAY_S);
    TimeUnit.NANOSECONDS.sleep((long) (delay * 1e9));
  }

  /** Whatever a server or a network may recover from: batches are kept, and sent again. */
  private static boolean goesBy(RunwireException error) {
    return switch (error.code()) {
      case UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED -> true;
      case RESOURCE_EXHAUSTED -> error.retryAfter().isPresent();
      case INTERNAL, UNKNOWN, UNIMPLEMENTED -> error.reason().isEmpty();
      default -> false;
    };
  }

  // What arrives -------------------------------------------------------------------------

  void heard() {
    failures = 0;
  }

  void take(WriteAck ack) {
    for (Rejection one : ack.getRejectionsList()) {
      synchronized (rejections) {
        if (rejections.size() < KEPT_REJECTIONS) {
          rejections.add(one);
        }
      }
      tell(() -> options.onRejection().accept(one));
    }
    backlog.acknowledge(ack); // the last, as one who waits for it may close then
  }

  void take(WriteAdvice advice) {
    minIntervalNanos =
        Waiting.nanos(
            Duration.ofSeconds(
                advice.getMinInterval().getSeconds(), advice.getMinInterval().getNanos()));
    maxUnacked = advice.getMaxUnackedBatches();
    backlog.limit(advice.getMaxBatchBytes());
    if (advice.getStopRequested() && !stopRequested) {
      stopRequested = true;
      tell(options.onStopRequested());
    }
  }

  private void tell(Runnable callback) {
    try {
      callbacks.execute(() -> guarded(callback));
    } catch (RejectedExecutionException closed) {
      // nobody wants to know any more
    }
  }

  /** What a callback throws is its own affair. */
  private static void guarded(Runnable callback) {
    try {
      callback.run();
    } catch (RuntimeException theirs) {
      System.getLogger("dev.runwire").log(System.Logger.Level.WARNING, "a callback failed", theirs);
    }
  }
}
