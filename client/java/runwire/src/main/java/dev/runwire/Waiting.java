package dev.runwire;

import java.time.Duration;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;

/** Waits between attempts, and knows how long a time is. */
final class Waiting {
  // A century and more; twice that would still be a long.
  private static final long FOREVER_NANOS = Long.MAX_VALUE >> 1;

  private Waiting() {}

  /** A time that is beyond what a long can hold is a very long one. */
  static long nanos(Duration time) {
    try {
      return Math.min(time.toNanos(), FOREVER_NANOS);
    } catch (ArithmeticException beyond) {
      return time.isNegative() ? -FOREVER_NANOS : FOREVER_NANOS;
    }
  }

  /** Sleeps; throws the error where there is to be no other attempt. */
  static void sleep(OptionalLong nanos, RunwireException error) {
    if (nanos.isEmpty()) {
      throw error;
    }
    try {
      TimeUnit.NANOSECONDS.sleep(nanos.getAsLong());
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw error;
    }
  }
}
