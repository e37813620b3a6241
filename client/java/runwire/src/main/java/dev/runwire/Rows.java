package dev.runwire;

import dev.runwire.v1.Frame;
import dev.runwire.v1.MetricBatch;
import dev.runwire.v1.SeriesName;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.ConcurrentModificationException;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Rows of values on their way into a batch: one set of columns for each set of keys. Not safe for
 * threads; {@link Backlog} locks.
 */
final class Rows {
  private static final int FIRST_ROWS = 2; // what is allocated is bounded by what is counted
  private static final int ROW_BYTES = 16;
  private static final int NOTE_BYTES = 16;

  private final List<Columns> used = new ArrayList<>();
  private final Map<String, String> params = new LinkedHashMap<>();
  private final Map<String, String> tags = new LinkedHashMap<>();
  private long bytes;
  private long points;

  /** About what the batch will take, serialized. */
  long bytes() {
    return bytes;
  }

  long points() {
    return points;
  }

  boolean isEmpty() {
    return bytes == 0;
  }

  /** The values of a row; read before a row is begun, as a null among them ends that. */
  static double[] numbers(Map<String, ? extends Number> values) {
    double[] numbers = new double[values.size()];
    int place = 0;
    for (Number value : values.values()) {
      numbers[place++] = value.doubleValue();
    }
    if (place != numbers.length) {
      throw new ConcurrentModificationException();
    }
    return numbers;
  }

  /** What a row of these keys would add. */
  long cost(Names.Shape shape) {
    return ROW_BYTES + 8L * shape.ids.length + (isUsed(shape) ? 0 : shape.nameBytes);
  }

  static long cost(String key, String value) {
    return NOTE_BYTES + (long) Sizes.utf8(key) + Sizes.utf8(value);
  }

  /** The shape may be a part of a row: it knows where its values begin. */
  void add(Names.Shape shape, double[] row, long step, long timeMicros) {
    bytes += cost(shape);
    points += shape.ids.length;
    columns(shape).add(step, timeMicros, row);
  }

  /** Two values of one param must not meet in a batch, where only one of them would be seen. */
  boolean contradicts(String param, String value) {
    String known = params.get(param);
    return known != null && !known.equals(value);
  }

  void addParam(String key, String value) {
    bytes += cost(key, value);
    params.put(key, value);
  }

  void addTag(String key, String value) {
    bytes += cost(key, value);
    tags.put(key, value);
  }

  private boolean isUsed(Names.Shape shape) {
    return shape.columns != null && shape.columns.owner == this;
  }

  private Columns columns(Names.Shape shape) {
    if (!isUsed(shape)) {
      shape.columns = new Columns(this, shape);
      used.add(shape.columns);
    }
    return shape.columns;
  }

  /** Nothing is added any more: the shapes live on, and must not keep the columns alive. */
  void release() {
    for (Columns columns : used) {
      if (columns.shape.columns == columns) {
        columns.shape.columns = null;
      }
    }
  }

  /** The message; called once, when nothing is added any more. */
  MetricBatch seal(long sequence) {
    MetricBatch.Builder batch =
        MetricBatch.newBuilder().setSequence(sequence).putAllParams(params).putAllTags(tags);
    Map<Integer, String> declared = new HashMap<>();
    for (Columns columns : used) {
      for (int place = 0; place < columns.shape.ids.length; place++) {
        int id = columns.shape.ids[place];
        if (declared.putIfAbsent(id, columns.shape.keys[place]) == null) {
          batch.addSeries(SeriesName.newBuilder().setId(id).setKey(columns.shape.keys[place]));
        }
      }
      batch.addFrames(columns.frame());
    }
    return batch.build();
  }

  /** Rows of one set of keys: a Frame. */
  static final class Columns {
    final Rows owner;
    final Names.Shape shape;
    private int rows;
    private long[] steps = new long[FIRST_ROWS];
    private long[] times = new long[FIRST_ROWS];
    private double[] values;

    Columns(Rows owner, Names.Shape shape) {
      this.owner = owner;
      this.shape = shape;
      values = new double[FIRST_ROWS * shape.ids.length];
    }

    void add(long step, long timeMicros, double[] row) {
      int width = shape.ids.length;
      if (rows == steps.length) {
        steps = Arrays.copyOf(steps, 2 * rows);
        times = Arrays.copyOf(times, 2 * rows);
        values = Arrays.copyOf(values, 2 * values.length);
      }
      steps[rows] = step;
      times[rows] = timeMicros;
      System.arraycopy(row, shape.start, values, rows * width, width);
      rows++;
    }

    Frame frame() {
      Frame.Builder frame = Frame.newBuilder();
      for (int id : shape.ids) {
        frame.addSeries(id);
      }
      for (int row = 0; row < rows; row++) {
        frame.addSteps(steps[row]).addTimesMicros(times[row]);
      }
      for (int place = 0; place < rows * shape.ids.length; place++) {
        frame.addValues(values[place]);
      }
      return frame.build();
    }
  }

  /** The keys of one writer, each with its number, and the sets in which they are logged. */
  static final class Names {
    private static final int FRAME_BYTES = 40;
    private static final int NAME_BYTES = 16;
    static final int MOST_ROWS = 10_000;

    private final long mostPartBytes;
    private final Map<String, Integer> ids = new HashMap<>();
    private final Map<List<String>, Row> rows = new HashMap<>();
    private final Map<String, Row> singles = new HashMap<>();
    private Row last = new Row(new String[0], List.of());
    private Row lastSingle = last;

    /**
     * @param mostPartBytes of a row: a wider one is split
     */
    Names(long mostPartBytes) {
      this.mostPartBytes = mostPartBytes;
    }

    /** A set of keys, in the order of its map: one shape, or where it is too wide, several. */
    static final class Row {
      final List<Shape> parts;
      private final String[] keys;

      Row(String[] keys, List<Shape> parts) {
        this.keys = keys;
        this.parts = parts;
      }

      boolean is(Map<String, ?> values) {
        if (values.size() != keys.length) {
          return false;
        }
        int place = 0;
        for (String key : values.keySet()) {
          if (place == keys.length || !keys[place++].equals(key)) {
            return false;
          }
        }
        return place == keys.length;
      }

      int size() {
        return keys.length;
      }
    }

    /** Keys that share a Frame. */
    static final class Shape {
      final String[] keys;
      final int[] ids;
      final int start;
      final long nameBytes;
      Columns columns; // of the batch that takes rows now

      Shape(String[] keys, int[] ids, int start) {
        this.keys = keys;
        this.ids = ids;
        this.start = start;
        long bytes = FRAME_BYTES;
        for (String key : keys) {
          bytes += NAME_BYTES + Sizes.utf8(key);
        }
        nameBytes = bytes;
      }
    }

    /** Throws for a key that would damage a whole batch. */
    Row row(Map<String, ?> values) {
      if (!last.is(values)) {
        forgetTooMany();
        List<String> keys = List.copyOf(values.keySet());
        last = rows.computeIfAbsent(keys, this::made);
      }
      return last;
    }

    Row row(String key) {
      if (lastSingle.keys.length == 0 || !lastSingle.keys[0].equals(key)) {
        forgetTooMany();
        lastSingle = singles.computeIfAbsent(key, one -> made(List.of(one)));
      }
      return lastSingle;
    }

    /** Who logs another set of keys each time keeps no memory of them. */
    private void forgetTooMany() {
      if (rows.size() + singles.size() >= MOST_ROWS) {
        rows.clear();
        singles.clear();
      }
    }

    private Row made(List<String> keys) {
      keys.forEach(Sizes::checkKey);
      List<Shape> parts = new ArrayList<>();
      int start = 0;
      long bytes = 0;
      for (int place = 0; place < keys.size(); place++) {
        long more = NAME_BYTES + 8 + Sizes.utf8(keys.get(place));
        if (bytes + more > mostPartBytes && place > start) {
          parts.add(part(keys, start, place));
          start = place;
          bytes = 0;
        }
        bytes += more;
      }
      parts.add(part(keys, start, keys.size()));
      return new Row(keys.toArray(String[]::new), parts);
    }

    private Shape part(List<String> keys, int start, int end) {
      String[] its = keys.subList(start, end).toArray(String[]::new);
      int[] numbers = new int[its.length];
      for (int place = 0; place < numbers.length; place++) {
        numbers[place] = ids.computeIfAbsent(its[place], key -> ids.size() + 1);
      }
      return new Shape(its, numbers, start);
    }
  }
}
