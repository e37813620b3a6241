package dev.runwire;

import dev.runwire.v1.Rejection;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;

/**
 * Streams metrics to a run. Logging costs well under a microsecond and never waits for the network:
 * a thread of the writer sends batches, and sends again what a loss of contact took, until it is
 * acknowledged, without loss and without duplicates for as long as this process lives.
 *
 * <p>Memory is bounded. When it is full, {@link WhenFull} decides; what is dropped is counted. An
 * error that another attempt cannot mend (the run is over, or deleted) ends the writer: {@link
 * #flush} and {@link #close} throw it, logging goes on without effect. Safe for many threads.
 */
public final class MetricWriter implements AutoCloseable {
  /** What {@code log} does when {@code maxBufferedBytes} wait to be acknowledged. */
  public enum WhenFull {
    /** Waits for room, for {@code blockFor} at most; then drops. */
    BLOCK,
    /** Drops the new points at once. */
    DROP,
  }

  private final String writerId = Runs.newId();
  private final Options options;
  private final Backlog backlog;
  private final BatchSender sender;

  MetricWriter(Caller caller, String runId, Options options) {
    this.options = options;
    backlog = new Backlog(options);
    sender = new BatchSender(caller, runId, writerId, backlog, options);
    sender.start();
  }

  /**
   * Logs a row of values, now.
   *
   * @param values by key; a map whose order stays the same is the fastest
   * @param step of all of them
   * @throws RunwireException INVALID_ARGUMENT for a key of more than 4 KiB: nothing is logged
   */
  public void log(Map<String, ? extends Number> values, long step) {
    log(values, step, Runs.nowMicros());
  }

  /**
   * Logs a row of values.
   *
   * @param values by key
   * @param step of all of them
   * @param timeMicros Unix time in microseconds
   * @throws RunwireException INVALID_ARGUMENT for a key of more than 4 KiB: nothing is logged
   */
  public void log(Map<String, ? extends Number> values, long step, long timeMicros) {
    double[] numbers = Rows.numbers(values);
    if (numbers.length > 0) {
      backlog.add(values, numbers, step, timeMicros);
    }
  }

  /**
   * Logs one value, now.
   *
   * @param key of the metric
   * @param value any, NaN and infinities too
   * @param step of it
   * @throws RunwireException INVALID_ARGUMENT for a key of more than 4 KiB
   */
  public void log(String key, double value, long step) {
    log(key, value, step, Runs.nowMicros());
  }

  /**
   * Logs one value.
   *
   * @param key of the metric
   * @param value any
   * @param step of it
   * @param timeMicros Unix time in microseconds
   * @throws RunwireException INVALID_ARGUMENT for a key of more than 4 KiB
   */
  public void log(String key, double value, long step, long timeMicros) {
    backlog.add(Objects.requireNonNull(key), value, step, timeMicros);
  }

  /**
   * Notes params, in order with the metrics. They are written once.
   *
   * @param params by key
   * @throws RunwireException INVALID_ARGUMENT for one of more than 256 KiB: none is logged
   */
  public void logParams(Map<String, String> params) {
    backlog.addParams(params);
  }

  /**
   * Sets tags, in order with the metrics.
   *
   * @param tags by key
   * @throws RunwireException INVALID_ARGUMENT for one of more than 256 KiB: none is logged
   */
  public void logTags(Map<String, String> tags) {
    backlog.addTags(tags);
  }

  /**
   * Waits until the server has everything that was logged before.
   *
   * @param timeout for how long
   * @throws RunwireException DEADLINE_EXCEEDED where it takes longer; what ended the writer
   */
  public void flush(Duration timeout) {
    backlog.flush(timeout);
  }

  /**
   * Whether somebody asked the run to stop.
   *
   * @return true from then on
   */
  public boolean isStopRequested() {
    return sender.isStopRequested();
  }

  /**
   * Points that were dropped: for lack of room, or because the writer has ended or is being closed.
   *
   * @return since it was opened
   */
  public long droppedPoints() {
    return backlog.dropped();
  }

  /**
   * What the server could not keep, and why: the first thousand.
   *
   * @return since it was opened
   */
  public List<Rejection> rejections() {
    return sender.rejections();
  }

  /**
   * What ended the writer.
   *
   * @return null while it works
   */
  public RunwireException failure() {
    return backlog.failure();
  }

  /**
   * The name under which its batches are counted.
   *
   * @return random
   */
  public String writerId() {
    return writerId;
  }

  /**
   * Flushes, for {@code closeTimeout} at most, and ends. What is logged from its beginning on, and
   * what is left at its end, is dropped and counted.
   *
   * @throws RunwireException as {@link #flush} does
   */
  @Override
  public void close() {
    backlog.refuse();
    try {
      flush(options.closeTimeout());
    } catch (RunwireException error) {
      backlog.fail(error);
      throw error;
    } finally {
      backlog.close();
      sender.close();
    }
  }

  /**
   * When a writer sends, and how much it may hold.
   *
   * @param flushInterval how long a row waits for company
   * @param maxBatchBytes of a batch, 1 MiB less 4 KiB at most; the server may ask for less
   * @param maxBufferedBytes that wait to be acknowledged
   * @param whenFull what happens when there are so many
   * @param blockFor how long BLOCK waits
   * @param closeTimeout how long {@code close} waits
   * @param onStopRequested called once, when somebody asks the run to stop
   * @param onRejection called with what the server could not keep
   * @param onError called once, with what ended the writer
   */
  public record Options(
      Duration flushInterval,
      long maxBatchBytes,
      long maxBufferedBytes,
      WhenFull whenFull,
      Duration blockFor,
      Duration closeTimeout,
      Runnable onStopRequested,
      Consumer<Rejection> onRejection,
      Consumer<RunwireException> onError) {

    /**
     * 200 ms, 1 MiB, 64 MiB, BLOCK for 10 s, a minute to close, no callbacks.
     *
     * @return the default settings
     */
    public static Options defaults() {
      return builder().build();
    }

    /**
     * To change some of the default settings.
     *
     * @return with the default settings
     */
    public static Builder builder() {
      return new Builder();
    }

    /** Settings under way. */
    public static final class Builder {
      private Duration flushInterval = Duration.ofMillis(200);
      private long maxBatchBytes = Sizes.MOST_BATCH_BYTES;
      private long maxBufferedBytes = 64 << 20;
      private WhenFull whenFull = WhenFull.BLOCK;
      private Duration blockFor = Duration.ofSeconds(10);
      private Duration closeTimeout = Duration.ofMinutes(1);
      private Runnable onStopRequested = () -> {};
      private Consumer<Rejection> onRejection = rejection -> {};
      private Consumer<RunwireException> onError = error -> {};

      private Builder() {}

      /**
       * How long a row waits for company.
       *
       * @param interval 200 ms unless given
       * @return this
       */
      public Builder flushInterval(Duration interval) {
        flushInterval = interval;
        return this;
      }

      /**
       * Of a batch, serialized.
       *
       * @param bytes 1 MiB less 4 KiB unless given, and at most
       * @return this
       */
      public Builder maxBatchBytes(long bytes) {
        maxBatchBytes = bytes;
        return this;
      }

      /**
       * That wait to be acknowledged.
       *
       * @param bytes 64 MiB unless given
       * @return this
       */
      public Builder maxBufferedBytes(long bytes) {
        maxBufferedBytes = bytes;
        return this;
      }

      /**
       * What happens when there is no room.
       *
       * @param policy BLOCK unless given
       * @return this
       */
      public Builder whenFull(WhenFull policy) {
        whenFull = policy;
        return this;
      }

      /**
       * How long BLOCK waits.
       *
       * @param time 10 seconds unless given
       * @return this
       */
      public Builder blockFor(Duration time) {
        blockFor = time;
        return this;
      }

      /**
       * How long {@code close} waits.
       *
       * @param time a minute unless given
       * @return this
       */
      public Builder closeTimeout(Duration time) {
        closeTimeout = time;
        return this;
      }

      /**
       * When somebody asks the run to stop.
       *
       * @param callback called once, by a thread of its own
       * @return this
       */
      public Builder onStopRequested(Runnable callback) {
        onStopRequested = callback;
        return this;
      }

      /**
       * What the server could not keep.
       *
       * @param callback called by a thread of its own
       * @return this
       */
      public Builder onRejection(Consumer<Rejection> callback) {
        onRejection = callback;
        return this;
      }

      /**
       * What ended the writer.
       *
       * @param callback called once, by a thread of its own
       * @return this
       */
      public Builder onError(Consumer<RunwireException> callback) {
        onError = callback;
        return this;
      }

      /**
       * The settings.
       *
       * @return as they are now
       * @throws RunwireException INVALID_ARGUMENT for what can hold nothing
       */
      public Options build() {
        if (maxBatchBytes < 1 || maxBufferedBytes < 1) {
          throw RunwireException.invalid("options", "sizes are above 0");
        }
        return new Options(
            flushInterval,
            Math.min(maxBatchBytes, Math.max(1, maxBufferedBytes / 4)),
            maxBufferedBytes,
            whenFull,
            blockFor,
            closeTimeout,
            onStopRequested,
            onRejection,
            onError);
      }
    }
  }
}
