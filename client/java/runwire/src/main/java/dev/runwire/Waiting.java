package dev.runwire;

import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;

/** Waits between attempts. */
final class Waiting {
  private Waiting() {}

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
