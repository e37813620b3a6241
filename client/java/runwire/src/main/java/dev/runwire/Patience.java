package dev.runwire;

import java.time.Duration;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/** How long a transfer goes on through cuts: as long as it makes progress. */
final class Patience {
  // So many attempts, and half a minute, without a single byte: longer than a server's restart.
  private static final int ATTEMPTS = 8;
  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(30);
  private static final double FIRST_DELAY_S = 0.2;
  private static final double MAX_DELAY_S = 8.0;
  // Faults of a call that lost its place: begin again from what is stored.
  private static final Set<String> RESUMABLE = Set.of("OFFSET_GAP", "CHECKSUM_MISMATCH");

  private int failures;
  private long firstAt;

  void progress() {
    failures = 0;
  }

  /** Sleeps before another attempt, or throws the error where none would help. */
  void wait(RunwireException error) {
    long now = System.nanoTime();
    if (failures == 0) {
      firstAt = now;
    }
    failures++;
    boolean isSpent = failures >= ATTEMPTS && now - firstAt >= PATIENCE_NANOS;
    if (isSpent || !goesBy(error)) {
      throw error;
    }
    double delay = Math.min(MAX_DELAY_S, FIRST_DELAY_S * Math.pow(2, failures - 1));
    double asked = Retry.seconds(error.retryAfter().orElse(Duration.ZERO));
    try {
      TimeUnit.NANOSECONDS.sleep((long) (Math.max(delay, asked) * (0.5 + Retry.random(0.5)) * 1e9));
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw error;
    }
  }

  private static boolean goesBy(RunwireException error) {
    return switch (error.code()) {
      case UNAVAILABLE -> !error.reason().equals("STORAGE_UNAVAILABLE");
      case DEADLINE_EXCEEDED -> true;
      // A proxy that is cut says so in these words.
      case INTERNAL, UNKNOWN, CANCELLED -> error.reason().isEmpty();
      default -> RESUMABLE.contains(error.reason());
    };
  }
}
