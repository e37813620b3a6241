package dev.runwire;

import java.nio.charset.StandardCharsets;

/**
 * How large a batch and what is in it may be. The service refuses a larger batch as a whole, and
 * its writer with it; what is too large for the service alone, it rejects by itself.
 */
final class Sizes {
  /** The service takes 1 MiB; sizes are reckoned before a batch is made, and near to the truth. */
  static final long MOST_BATCH_BYTES = (1 << 20) - (4 << 10);

  static final int MOST_KEY_BYTES = 4 << 10;
  static final int MOST_NOTE_BYTES = 256 << 10;
  private static final int MOST_TOLD = 80;

  private Sizes() {}

  static void checkKey(String key) {
    if (utf8(key, MOST_KEY_BYTES) > MOST_KEY_BYTES) {
      throw RunwireException.invalid(
          "key", "'" + start(key) + "': at most " + MOST_KEY_BYTES + " bytes of UTF-8");
    }
  }

  /** Of a param or a tag. */
  static void checkNote(String key, String value) {
    if ((long) utf8(key, MOST_NOTE_BYTES) + utf8(value, MOST_NOTE_BYTES) > MOST_NOTE_BYTES) {
      throw RunwireException.invalid(
          "value", "of '" + start(key) + "': at most " + MOST_NOTE_BYTES + " bytes of UTF-8");
    }
  }

  static int utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8).length;
  }

  /** Right where it is at most so many; else it is only known to be more. */
  private static int utf8(String text, int most) {
    return text.length() > most ? text.length() : utf8(text);
  }

  private static String start(String text) {
    return text.length() > MOST_TOLD ? text.substring(0, MOST_TOLD) + "…" : text;
  }
}
