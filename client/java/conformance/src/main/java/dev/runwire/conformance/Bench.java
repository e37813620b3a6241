package dev.runwire.conformance;

import com.google.gson.JsonObject;
import dev.runwire.MetricWriter;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** What calls cost. */
final class Bench {
  private Bench() {}

  static JsonObject log(MetricWriter writer, Args args) {
    int calls = (int) args.number("calls", 1);
    Map<String, Double> values = new LinkedHashMap<>();
    for (int key = 0; key < args.number("keys", 1); key++) {
      values.put("key/" + key, (double) key);
    }
    long[] took = new long[calls];
    long start = System.nanoTime();
    for (int step = 0; step < calls; step++) {
      long before = System.nanoTime();
      writer.log(values, step);
      took[step] = System.nanoTime() - before;
    }
    writer.flush(Duration.ofMinutes(5));
    double seconds = (System.nanoTime() - start) / 1e9;
    writer.close();
    Arrays.sort(took);
    JsonObject told = new JsonObject();
    told.addProperty("call_ns", took[calls / 2]);
    told.addProperty("call_p99_ns", took[(int) (calls * 99L / 100)]);
    told.addProperty("seconds", seconds);
    return told;
  }

  static JsonObject timed(Args args, Runnable call) {
    int calls = (int) args.number("calls", 1);
    double[] took = new double[calls];
    for (int number = 0; number < calls; number++) {
      long before = System.nanoTime();
      call.run();
      took[number] = (System.nanoTime() - before) / 1e3;
    }
    Arrays.sort(took);
    JsonObject told = new JsonObject();
    told.addProperty("p50_us", took[calls / 2]);
    told.addProperty("p99_us", took[(int) (calls * 99L / 100)]);
    return told;
  }
}
