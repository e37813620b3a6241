package dev.runwire;

import java.time.Duration;
import java.util.OptionalLong;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Counts failures in a row and says how long to wait: what the server asks, and a delay that
 * doubles, of which half is left to chance: the other half is time enough for a restart.
 */
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
    double half = doubled(failures, FIRST_DELAY_S, MAX_DELAY_S) / 2;
    double delay = asked(error) + half + random(half);
    waited += delay;
    long nanos = (long) (delay * 1e9);
    if (waited > PATIENCE_S || System.nanoTime() + nanos - deadlineNanos >= 0) {
      return OptionalLong.empty();
    }
    return OptionalLong.of(nanos);
  }

  /** What the server asks for (no error: nothing), and full jitter that doubles up to a bound. */
  static double backoffSeconds(RunwireException error, int failures, double first, double most) {
    return (error == null ? 0 : asked(error)) + random(doubled(failures, first, most));
  }

  private static double asked(RunwireException error) {
    return seconds(error.retryAfter().orElse(Duration.ZERO));
  }

  private static double doubled(int failures, double first, double most) {
    return Math.min(most, first * Math.pow(2, Math.min(failures, 11) - 1));
  }

  static double seconds(Duration duration) {
    return Waiting.nanos(duration) / 1e9;
  }

  static double random(double ceiling) {
    return ThreadLocalRandom.current().nextDouble() * ceiling;
  }
}
