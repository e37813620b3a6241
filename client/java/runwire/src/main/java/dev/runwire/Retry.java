package dev.runwire;

import java.time.Duration;
import java.util.OptionalLong;
import java.util.concurrent.ThreadLocalRandom;

/** Counts failures in a row and says how long to wait: full jitter, or what the server asks. */
final class Retry {
  private static final int ATTEMPTS = 5;
  private static final double FIRST_DELAY_S = 0.2;
  private static final double MAX_DELAY_S = 2.0;
  private static final double PATIENCE_S = 10.0;

  private final long deadlineNanos;
  private int failures;
  private double waited;

  /**
   * @param deadlineNanos of {@link System#nanoTime()}
   */
  Retry(long deadlineNanos) {
    this.deadlineNanos = deadlineNanos;
  }

  /** For what may take as long as it makes progress. */
  static Retry withoutDeadline() {
    return new Retry(System.nanoTime() + (Long.MAX_VALUE >> 1));
  }

  /** Nanoseconds to wait before another attempt; empty where there is to be none. */
  OptionalLong delayNanos(RunwireException error) {
    failures++;
    if (!Errors.isPassing(error) || failures >= ATTEMPTS) {
      return OptionalLong.empty();
    }
    double ceiling = Math.min(MAX_DELAY_S, FIRST_DELAY_S * Math.pow(2, failures - 1));
    double delay = seconds(error.retryAfter().orElse(Duration.ZERO)) + random(ceiling);
    waited += delay;
    long nanos = (long) (delay * 1e9);
    if (waited > PATIENCE_S || System.nanoTime() + nanos - deadlineNanos >= 0) {
      return OptionalLong.empty();
    }
    return OptionalLong.of(nanos);
  }

  static double seconds(Duration duration) {
    return duration.toNanos() / 1e9;
  }

  static double random(double ceiling) {
    return ThreadLocalRandom.current().nextDouble() * ceiling;
  }
}
