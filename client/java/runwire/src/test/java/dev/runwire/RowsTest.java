package dev.runwire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.runwire.v1.Frame;
import dev.runwire.v1.MetricBatch;
import dev.runwire.v1.SeriesName;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class RowsTest {
  private final Rows.Names names = new Rows.Names();

  @Test
  void rowsOfTheSameKeysShareAFrame() {
    Rows rows = new Rows(names);
    Map<String, Double> values = new TreeMap<>(Map.of("a", 1.0, "b", 2.0));
    for (int step = 0; step < 100; step++) {
      rows.add(values, step, 7);
    }
    rows.add("a", Double.NaN, -1, 8);
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
    Rows first = new Rows(names);
    first.add("x", 1, 1, 1);
    first.add("y", 1, 1, 1);
    Rows second = new Rows(names);
    second.add("y", 2, 2, 2);
    int number = first.seal(1).getSeries(1).getId();
    MetricBatch batch = second.seal(2);
    assertEquals(number, batch.getSeries(0).getId());
    assertEquals(1, batch.getSeriesCount());
    assertEquals(2.0, batch.getFrames(0).getValues(0));
  }

  @Test
  void estimateIsNotBelowTheRealSize() {
    Rows rows = new Rows(names);
    for (int key = 0; key < 500; key++) {
      rows.add("key/ä/" + key, key, key, key);
    }
    rows.addParams(Map.of("größe", "日本語"));
    rows.addTags(Map.of("tag", "x".repeat(1000)));
    assertTrue(rows.seal(1).getSerializedSize() <= rows.bytes());
  }
}
