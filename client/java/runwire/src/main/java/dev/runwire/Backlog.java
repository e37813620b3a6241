package dev.runwire;

import dev.runwire.RunwireException.Code;
import dev.runwire.v1.MetricBatch;
import dev.runwire.v1.WriteAck;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.Map;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * What a writer holds: rows that come in, and batches that wait for their acknowledgement. A batch
 * gets its sequence when it is sealed and never changes after that.
 */
final class Backlog {
  /** Sealed once, built once, kept until it is acknowledged. */
  static final class Sealed {
    final long sequence;
    final long bytes;
    final long points;
    private Rows rows;
    private MetricBatch message;

    Sealed(long sequence, Rows rows) {
      this.sequence = sequence;
      this.bytes = rows.bytes();
      this.points = rows.points();
      this.rows = rows;
    }

    /** Only the sender calls it. */
    MetricBatch message() {
      if (message == null) {
        message = rows.seal(sequence);
        rows = null;
      }
      return message;
    }
  }

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition room = lock.newCondition();
  private final Condition news = lock.newCondition();
  private final MetricWriter.Options options;
  private final Rows.Names names = new Rows.Names();
  private final ArrayDeque<Sealed> sealed = new ArrayDeque<>();
  private Rows rows = new Rows(names);
  private long rowsSince;
  private long newsCount;
  private long sealedBytes;
  private long lastSequence;
  private long acknowledged;
  private long dropped;
  private long maxBatchBytes;
  private boolean isClosed;
  private RunwireException failure;

  Backlog(MetricWriter.Options options) {
    this.options = options;
    this.maxBatchBytes = options.maxBatchBytes();
  }

  // The side of those who log ------------------------------------------------------------

  void add(Map<String, ? extends Number> values, long step, long timeMicros) {
    lock.lock();
    try {
      if (takes(values.size())) {
        rows.add(values, step, timeMicros);
        added();
      }
    } finally {
      lock.unlock();
    }
  }

  void add(String key, double value, long step, long timeMicros) {
    lock.lock();
    try {
      if (takes(1)) {
        rows.add(key, value, step, timeMicros);
        added();
      }
    } finally {
      lock.unlock();
    }
  }

  void addParams(Map<String, String> params) {
    lock.lock();
    try {
      if (takes(0)) {
        rows.addParams(params);
        added();
      }
    } finally {
      lock.unlock();
    }
  }

  void addTags(Map<String, String> tags) {
    lock.lock();
    try {
      if (takes(0)) {
        rows.addTags(tags);
        added();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Whether there is room for another row; else its points are dropped, and counted. */
  private boolean takes(int points) {
    if (isFull() && options.whenFull() == MetricWriter.WhenFull.BLOCK) {
      long left = options.blockFor().toNanos();
      try {
        while (isFull() && failure == null && !isClosed && left > 0) {
          left = room.awaitNanos(left);
        }
      } catch (InterruptedException interrupted) {
        Thread.currentThread().interrupt();
      }
    }
    if (failure != null || isClosed || isFull()) {
      dropped += points;
      return false;
    }
    return true;
  }

  private boolean isFull() {
    return sealedBytes + rows.bytes() >= options.maxBufferedBytes();
  }

  private void added() {
    if (rowsSince == 0) {
      rowsSince = System.nanoTime();
      tellSender(); // a sender that sleeps must learn when to wake
    }
    if (rows.bytes() >= maxBatchBytes) {
      seal();
    }
  }

  private void seal() {
    if (rows.isEmpty()) {
      return;
    }
    Sealed one = new Sealed(++lastSequence, rows);
    sealed.add(one);
    sealedBytes += one.bytes;
    rows = new Rows(names);
    rowsSince = 0;
    tellSender();
  }

  /** Waits until all that was added before is acknowledged. */
  void flush(Duration timeout) {
    lock.lock();
    try {
      seal();
      long due = lastSequence;
      long left = timeout.toNanos();
      while (acknowledged < due && failure == null) {
        if (left <= 0) {
          throw RunwireException.of(
              Code.DEADLINE_EXCEEDED, "not everything was acknowledged within " + timeout);
        }
        left = room.awaitNanos(left);
      }
      if (failure != null) {
        throw failure;
      }
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw RunwireException.of(Code.CANCELLED, "the thread was interrupted");
    } finally {
      lock.unlock();
    }
  }

  void close() {
    lock.lock();
    try {
      isClosed = true;
      tellSender();
      room.signalAll();
    } finally {
      lock.unlock();
    }
  }

  long dropped() {
    lock.lock();
    try {
      return dropped;
    } finally {
      lock.unlock();
    }
  }

  RunwireException failure() {
    lock.lock();
    try {
      return failure;
    } finally {
      lock.unlock();
    }
  }

  // The side of the sender ---------------------------------------------------------------

  void wake() {
    lock.lock();
    try {
      tellSender();
    } finally {
      lock.unlock();
    }
  }

  /** How often there was news: to be asked before one looks whether there is something to do. */
  long news() {
    lock.lock();
    try {
      return newsCount;
    } finally {
      lock.unlock();
    }
  }

  private void tellSender() {
    newsCount++;
    news.signalAll();
  }

  boolean isClosed() {
    lock.lock();
    try {
      return isClosed;
    } finally {
      lock.unlock();
    }
  }

  /** Waits for more news than so many, and seals what has waited long enough. */
  void await(long seen, long nanos) throws InterruptedException {
    lock.lock();
    try {
      long due = nanos;
      if (rowsSince != 0) {
        due = Math.min(due, rowsSince + options.flushInterval().toNanos() - System.nanoTime());
      }
      if (due > 0 && newsCount == seen) {
        news.awaitNanos(due);
      }
      sealWhatIsDue();
    } finally {
      lock.unlock();
    }
  }

  private void sealWhatIsDue() {
    if (rowsSince != 0 && System.nanoTime() - rowsSince >= options.flushInterval().toNanos()) {
      seal();
    }
  }

  /** The first batch after a sequence; null: there is none. */
  Sealed after(long sequence) {
    lock.lock();
    try {
      sealWhatIsDue();
      for (Iterator<Sealed> each = sealed.iterator(); each.hasNext(); ) {
        Sealed one = each.next();
        if (one.sequence > sequence) {
          return one;
        }
      }
      return null;
    } finally {
      lock.unlock();
    }
  }

  long acknowledged() {
    lock.lock();
    try {
      return acknowledged;
    } finally {
      lock.unlock();
    }
  }

  void acknowledge(WriteAck ack) {
    acknowledge(ack.getCommittedSequence());
  }

  void acknowledge(long sequence) {
    lock.lock();
    try {
      while (!sealed.isEmpty() && sealed.peek().sequence <= sequence) {
        sealedBytes -= sealed.remove().bytes;
      }
      acknowledged = Math.max(acknowledged, Math.min(sequence, lastSequence));
      room.signalAll();
      tellSender();
    } finally {
      lock.unlock();
    }
  }

  void limit(long bytes) {
    lock.lock();
    try {
      if (bytes > 0) {
        maxBatchBytes = Math.min(options.maxBatchBytes(), bytes);
      }
    } finally {
      lock.unlock();
    }
  }

  /** Nothing more will be stored: what waits is dropped, and counted. */
  void fail(RunwireException error) {
    lock.lock();
    try {
      failure = error;
      for (Sealed one : sealed) {
        dropped += one.points;
      }
      dropped += rows.points();
      sealed.clear();
      rows = new Rows(names);
      rowsSince = 0;
      sealedBytes = 0;
      room.signalAll();
    } finally {
      lock.unlock();
    }
  }
}
