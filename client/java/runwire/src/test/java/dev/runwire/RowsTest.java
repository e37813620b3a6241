package dev.runwire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.runwire.v1.Frame;
import dev.runwire.v1.MetricBatch;
import dev.runwire.v1.SeriesName;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class RowsTest {
  private final Rows.Names names = new Rows.Names(1 << 19);

  private void add(Rows rows, String key, double value, long step, long timeMicros) {
    rows.add(names.row(key).parts.get(0), new double[] {value}, step, timeMicros);
  }

  @Test
  void rowsOfTheSameKeysShareAFrame() {
    Rows rows = new Rows();
    Map<String, Double> values = new TreeMap<>(Map.of("a", 1.0, "b", 2.0));
    for (int step = 0; step < 100; step++) {
      rows.add(names.row(values).parts.get(0), Rows.numbers(values), step, 7);
    }
    add(rows, "a", Double.NaN, -1, 8);
    MetricBatch batch = rows.seal(3);
    assertEquals(3, batch.getSequence());
    assertEquals(
        List.of("a", "b"), batch.getSeriesList().stream().map(SeriesName::getKey).toList());
    assertEquals(2, batch.getFramesCount());
    Frame frame = batch.getFrames(0);
    assertEquals(100, frame.getStepsCount());
    assertEquals(200, frame.getValuesCount());
    assertEquals(2.0, frame.getValues(199));
    assertEquals(List.of(1), batch.getFrames(1).getSeriesList());
    assertTrue(Double.isNaN(batch.getFrames(1).getValues(0)));
  }

  @Test
  void keyKeepsItsNumberAndEachBatchDeclaresWhatItUses() {
    Rows first = new Rows();
    add(first, "x", 1, 1, 1);
    add(first, "y", 1, 1, 1);
    Rows second = new Rows();
    add(second, "y", 2, 2, 2);
    int number = first.seal(1).getSeries(1).getId();
    MetricBatch batch = second.seal(2);
    assertEquals(number, batch.getSeries(0).getId());
    assertEquals(1, batch.getSeriesCount());
    assertEquals(2.0, batch.getFrames(0).getValues(0));
  }

  @Test
  void setsOfKeysBeyondManyAreForgottenAndKeysKeepTheirNumbers() {
    Rows rows = new Rows();
    Rows.Names.Row first = names.row("first");
    add(rows, "first", 1, 1, 1);
    for (int key = 0; key < Rows.Names.MOST_ROWS; key++) {
      add(rows, "key" + key, key, key, key);
    }
    add(rows, "first", 2, 2, 2);
    assertNotSame(first, names.row("first"));
    MetricBatch batch = rows.seal(1);
    assertEquals(Rows.Names.MOST_ROWS + 1, batch.getSeriesCount());
    assertEquals(
        batch.getFrames(0).getSeriesList(),
        batch.getFrames(batch.getFramesCount() - 1).getSeriesList());
  }

  @Test
  void estimateIsNotBelowTheRealSize() {
    Rows rows = new Rows();
    for (int key = 0; key < 500; key++) {
      add(rows, "key/ä/" + key, key, key, key);
    }
    rows.addParam("größe", "日本語");
    rows.addTag("tag", "x".repeat(1000));
    assertTrue(rows.seal(1).getSerializedSize() <= rows.bytes());
  }

  @Test
  void costIsWhatARowAdds() {
    Rows rows = new Rows();
    for (String key : List.of("a", "a", "b")) {
      long due = rows.bytes() + rows.cost(names.row(key).parts.get(0));
      add(rows, key, 1, 1, 1);
      assertEquals(due, rows.bytes());
    }
    long due = rows.bytes() + Rows.cost("größe", "x");
    rows.addTag("größe", "x");
    assertEquals(due, rows.bytes());
  }

  @Test
  void wideRowIsSplitAndKeepsItsValues() {
    Rows.Names small = new Rows.Names(100);
    Map<String, Double> values = new TreeMap<>();
    for (int key = 100; key < 110; key++) {
      values.put("k" + key, (double) key);
    }
    Rows rows = new Rows();
    for (Rows.Names.Shape part : small.row(values).parts) {
      rows.add(part, Rows.numbers(values), 1, 1);
    }
    MetricBatch batch = rows.seal(1);
    assertEquals(4, batch.getFramesCount()); // 28 bytes a key
    assertEquals(
        List.copyOf(values.values()),
        batch.getFramesList().stream().flatMap(one -> one.getValuesList().stream()).toList());
  }

  @Test
  void sealedColumnsAreNotKeptByTheirKeys() {
    Backlog backlog = new Backlog(MetricWriter.Options.defaults());
    backlog.add("x", 1, 1, 1);
    Rows.Names.Shape shape = backlog.names.row("x").parts.get(0);
    assertNotNull(shape.columns);
    assertThrows(RunwireException.class, () -> backlog.flush(Duration.ZERO)); // nobody sends
    assertNull(shape.columns);
    backlog.add("x", 1, 2, 2);
    backlog.fail(Caller.closed());
    assertNull(shape.columns);
    assertEquals(2, backlog.dropped());
  }
}
