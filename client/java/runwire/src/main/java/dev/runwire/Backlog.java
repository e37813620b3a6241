package dev.runwire;

import dev.runwire.RunwireException.Code;
import dev.runwire.v1.MetricBatch;
import dev.runwire.v1.WriteAck;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ConcurrentModificationException;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BiConsumer;

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
  final Rows.Names names;
  private final long flushNanos;
  private final long mostBatchBytes;
  private final ArrayDeque<Sealed> sealed = new ArrayDeque<>();
  private Rows rows = new Rows();
  private long rowsSince;
  private long newsCount;
  private long sealedBytes;
  private long lastSequence;
  private long acknowledged;
  private long dropped;
  private long maxBatchBytes;
  private boolean isClosing; // takes no more
  private boolean isClosed;
  private RunwireException failure;

  Backlog(MetricWriter.Options options) {
    this.options = options;
    this.mostBatchBytes = Math.min(options.maxBatchBytes(), Sizes.MOST_BATCH_BYTES);
    this.maxBatchBytes = mostBatchBytes;
    this.flushNanos = Waiting.nanos(options.flushInterval());
    this.names = new Rows.Names(maxBatchBytes / 2);
  }

  // The side of those who log ------------------------------------------------------------

  /** A row; where a batch cannot hold it, in parts. */
  void add(Map<String, ?> keys, double[] values, long step, long timeMicros) {
    lock.lock();
    try {
      add(names.row(keys), values, step, timeMicros);
    } finally {
      lock.unlock();
    }
  }

  void add(String key, double value, long step, long timeMicros) {
    lock.lock();
    try {
      add(names.row(key), new double[] {value}, step, timeMicros);
    } finally {
      lock.unlock();
    }
  }

  private void add(Rows.Names.Row row, double[] values, long step, long timeMicros) {
    if (row.size() != values.length) {
      throw new ConcurrentModificationException();
    }
    int left = values.length;
    for (Rows.Names.Shape part : row.parts) {
      if (!takes(left)) {
        return;
      }
      makeRoom(rows.cost(part));
      rows.add(part, values, step, timeMicros);
      added();
      left -= part.ids.length;
    }
  }

  void addParams(Map<String, String> params) {
    addNotes(params, this::addParam);
  }

  private void addParam(String key, String value) {
    if (rows.contradicts(key, value)) {
      seal();
    }
    rows.addParam(key, value);
  }

  void addTags(Map<String, String> tags) {
    addNotes(tags, (key, value) -> rows.addTag(key, value));
  }

  /** All of them are looked at before one is taken. */
  private void addNotes(Map<String, String> given, BiConsumer<String, String> add) {
    Map<String, String> notes = new LinkedHashMap<>(given);
    notes.forEach(Sizes::checkNote);
    lock.lock();
    try {
      for (Map.Entry<String, String> one : notes.entrySet()) {
        if (!takes(0)) {
          return;
        }
        makeRoom(Rows.cost(one.getKey(), one.getValue()));
        add.accept(one.getKey(), one.getValue());
        added();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Whether there is room for something more; else its points are dropped, and counted. */
  private boolean takes(int points) {
    if (isFull() && options.whenFull() == MetricWriter.WhenFull.BLOCK) {
      long left = Waiting.nanos(options.blockFor());
      try {
        while (isFull() && failure == null && !isClosing && left > 0) {
          left = room.awaitNanos(left);
        }
      } catch (InterruptedException interrupted) {
        Thread.currentThread().interrupt();
      }
    }
    if (failure != null || isClosing || isFull()) {
      dropped += points;
      return false;
    }
    return true;
  }

  private boolean isFull() {
    return sealedBytes + rows.bytes() >= options.maxBufferedBytes();
  }

  /**
   * A batch above the limit is refused, and ends the writer: what does not fit goes in the next.
   */
  private void makeRoom(long bytes) {
    if (rows.bytes() + bytes > maxBatchBytes) {
      seal();
    }
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
    Sealed one = new Sealed(++lastSequence, takeRows());
    sealed.add(one);
    sealedBytes += one.bytes;
    tellSender();
  }

  private Rows takeRows() {
    Rows taken = rows;
    taken.release();
    rows = new Rows();
    rowsSince = 0;
    return taken;
  }

  /** Waits until all that was added before is acknowledged. */
  void flush(Duration timeout) {
    lock.lock();
    try {
      seal();
      long due = lastSequence;
      long left = Waiting.nanos(timeout);
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

  /** Whatever is added from now on is dropped, and counted. */
  void refuse() {
    lock.lock();
    try {
      isClosing = true;
      room.signalAll();
    } finally {
      lock.unlock();
    }
  }

  void close() {
    lock.lock();
    try {
      isClosing = true;
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
        due = Math.min(due, flushNanos - (System.nanoTime() - rowsSince));
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
    if (rowsSince != 0 && System.nanoTime() - rowsSince >= flushNanos) {
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
        maxBatchBytes = Math.min(mostBatchBytes, bytes);
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * Nothing more will be stored: what waits is dropped, and counted.
   *
   * @return false: it has failed before
   */
  boolean fail(RunwireException error) {
    lock.lock();
    try {
      if (failure != null) {
        return false;
      }
      failure = error;
      for (Sealed one : sealed) {
        dropped += one.points;
      }
      dropped += takeRows().points();
      sealed.clear();
      sealedBytes = 0;
      room.signalAll();
      return true;
    } finally {
      lock.unlock();
    }
  }
}
