package dev.runwire;

import java.util.concurrent.ThreadFactory;

/** Threads that keep no program from ending. */
final class Threads {
  private Threads() {}

  static ThreadFactory named(String name) {
    return work -> {
      Thread made = new Thread(work, name);
      made.setDaemon(true);
      return made;
    };
  }
}
