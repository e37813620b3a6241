package dev.runwire;

import dev.runwire.v1.MetricServiceGrpc;
import dev.runwire.v1.ReadSeriesRequest;
import dev.runwire.v1.ReadSeriesResponse;
import dev.runwire.v1.SeriesSelector;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Points of metrics, as they were written. */
public final class Metrics {
  private final Caller caller;

  Metrics(Caller caller) {
    this.caller = caller;
  }

  /**
   * One series: columns of one length, ordered by step, time and arrival.
   *
   * @param steps as they were written
   * @param timesMicros Unix time in microseconds
   * @param values as they were written, bit for bit
   */
  public record Series(long[] steps, long[] timesMicros, double[] values) {
    /**
     * How many points it has.
     *
     * @return the length of each column
     */
    public int size() {
      return steps.length;
    }
  }

  /**
   * All points of some series of a run, over cuts of the connection.
   *
   * @param runId which run
   * @param keys none: every series
   * @return by key; without those that the run has not
   */
  public Map<String, Series> read(String runId, String... keys) {
    ReadSeriesRequest.Builder request =
        ReadSeriesRequest.newBuilder()
            .setSelect(
                SeriesSelector.newBuilder().addRunIds(runId).addAllKeys(List.of(keys)).build())
            .setReduce(ReadSeriesRequest.Reduce.REDUCE_NONE);
    Map<String, Columns> found = new LinkedHashMap<>();
    Retry retry = Retry.withoutDeadline();
    while (true) {
      try (Responses<ReadSeriesResponse> responses =
          caller.stream(MetricServiceGrpc.getReadSeriesMethod(), request.build())) {
        while (responses.hasNext()) {
          ReadSeriesResponse response = responses.next();
          found.computeIfAbsent(response.getKey(), key -> new Columns()).add(response);
          request.setResume(response.getResume());
          retry = Retry.withoutDeadline();
        }
        break;
      } catch (RunwireException error) {
        Waiting.sleep(retry.delayNanos(error), error);
      }
    }
    Map<String, Series> series = new LinkedHashMap<>();
    found.forEach((key, columns) -> series.put(key, columns.whole()));
    series.values().removeIf(one -> one.size() == 0);
    return series;
  }

  private static final class Columns {
    private long[] steps = {};
    private long[] times = {};
    private double[] values = {};
    private int size;

    void add(ReadSeriesResponse response) {
      ReadSeriesResponse.Points points = response.getPoints();
      int more = points.getStepsCount();
      if (size + more > steps.length) {
        int room = Math.max(size + more, 2 * steps.length);
        steps = Arrays.copyOf(steps, room);
        times = Arrays.copyOf(times, room);
        values = Arrays.copyOf(values, room);
      }
      for (int place = 0; place < more; place++) {
        steps[size] = points.getSteps(place);
        times[size] = points.getTimesMicros(place);
        values[size++] = points.getValues(place);
      }
    }

    Series whole() {
      return new Series(
          Arrays.copyOf(steps, size), Arrays.copyOf(times, size), Arrays.copyOf(values, size));
    }
  }
}
