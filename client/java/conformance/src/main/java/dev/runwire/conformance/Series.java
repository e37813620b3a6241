package dev.runwire.conformance;

import com.google.gson.JsonObject;
import dev.runwire.MetricWriter;
import java.util.ArrayList;
import java.util.List;

/** The series of a seed: points that every language makes alike. */
final class Series {
  private static final long FIRST_MICROS = 1_700_000_000_000_000L;

  private Series() {}

  static double value(long seed, long point) {
    long z = seed + (point + 1) * 0x9E3779B97F4A7C15L;
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return ((z ^ (z >>> 31)) >>> 11) * 0x1p-53;
  }

  static JsonObject write(MetricWriter writer, Args args) throws InterruptedException {
    long count = args.number("count", 0);
    long seed = Long.parseUnsignedLong(args.text("seed"));
    int threads = (int) args.number("threads", 1);
    String key = args.text("key");
    List<Thread> all = new ArrayList<>();
    for (int thread = 0; thread < threads; thread++) {
      int first = thread;
      Thread one =
          new Thread(
              () -> {
                for (long point = first; point < count; point += threads) {
                  writer.log(key, value(seed, point), point, FIRST_MICROS + point);
                }
              });
      one.start();
      all.add(one);
    }
    for (Thread one : all) {
      one.join();
    }
    return new JsonObject();
  }
}
