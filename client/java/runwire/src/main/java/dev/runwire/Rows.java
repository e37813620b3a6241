package dev.runwire;

import dev.runwire.v1.Frame;
import dev.runwire.v1.MetricBatch;
import dev.runwire.v1.SeriesName;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Rows of values on their way into a batch: one set of columns for each set of keys. Not safe for
 * threads; {@link Backlog} locks.
 */
final class Rows {
  private static final int FIRST_ROWS = 16;

  private final Names names;
  private final List<Columns> used = new ArrayList<>();
  private Map<String, String> params = Map.of();
  private Map<String, String> tags = Map.of();
  private long bytes;
  private long points;

  Rows(Names names) {
    this.names = names;
  }

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

  void add(Map<String, ? extends Number> values, long step, long timeMicros) {
    Columns columns = columns(names.shape(values));
    int place = columns.room(step, timeMicros);
    for (Number value : values.values()) {
      columns.values[place++] = value.doubleValue();
    }
    count(columns);
  }

  void add(String key, double value, long step, long timeMicros) {
    Columns columns = columns(names.shape(key));
    int place = columns.room(step, timeMicros); // may replace the array
    columns.values[place] = value;
    count(columns);
  }

  void addParams(Map<String, String> more) {
    params = merged(params, more);
  }

  void addTags(Map<String, String> more) {
    tags = merged(tags, more);
  }

  private Map<String, String> merged(Map<String, String> old, Map<String, String> more) {
    Map<String, String> merged = new LinkedHashMap<>(old);
    merged.putAll(more);
    more.forEach((key, value) -> bytes += 16 + 3L * (key.length() + value.length()));
    return merged;
  }

  private Columns columns(Names.Shape shape) {
    if (shape.columns == null || shape.columns.owner != this) {
      shape.columns = new Columns(this, shape);
      used.add(shape.columns);
      bytes += shape.nameBytes;
    }
    return shape.columns;
  }

  private void count(Columns columns) {
    int keys = columns.shape.ids.length;
    bytes += 16 + 8L * keys;
    points += keys;
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

    /** Where the values of another row go. */
    int room(long step, long timeMicros) {
      if (rows == steps.length) {
        steps = Arrays.copyOf(steps, 2 * rows);
        times = Arrays.copyOf(times, 2 * rows);
        values = Arrays.copyOf(values, 2 * values.length);
      }
      steps[rows] = step;
      times[rows] = timeMicros;
      return rows++ * shape.ids.length;
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
    private final Map<String, Integer> ids = new HashMap<>();
    private final Map<List<String>, Shape> shapes = new HashMap<>();
    private final Map<String, Shape> singles = new HashMap<>();
    private Shape last = new Shape(new String[0], new int[0]);
    private Shape lastSingle = last;

    /** A set of keys, in the order of its map. */
    static final class Shape {
      final String[] keys;
      final int[] ids;
      final int nameBytes;
      private Columns columns;

      Shape(String[] keys, int[] ids) {
        this.keys = keys;
        this.ids = ids;
        int bytes = 40;
        for (String key : keys) {
          bytes += 16 + key.getBytes(StandardCharsets.UTF_8).length;
        }
        nameBytes = bytes;
      }

      boolean is(Map<String, ?> values) {
        if (values.size() != keys.length) {
          return false;
        }
        int place = 0;
        for (String key : values.keySet()) {
          if (!keys[place++].equals(key)) {
            return false;
          }
        }
        return true;
      }
    }

    Shape shape(Map<String, ?> values) {
      if (!last.is(values)) {
        List<String> keys = List.copyOf(values.keySet());
        last = shapes.computeIfAbsent(keys, this::made);
      }
      return last;
    }

    Shape shape(String key) {
      if (lastSingle.keys.length == 0 || !lastSingle.keys[0].equals(key)) {
        lastSingle = singles.computeIfAbsent(key, one -> made(List.of(one)));
      }
      return lastSingle;
    }

    private Shape made(List<String> keys) {
      int[] numbers = new int[keys.size()];
      for (int place = 0; place < numbers.length; place++) {
        numbers[place] = ids.computeIfAbsent(keys.get(place), key -> ids.size() + 1);
      }
      return new Shape(keys.toArray(String[]::new), numbers);
    }
  }
}
