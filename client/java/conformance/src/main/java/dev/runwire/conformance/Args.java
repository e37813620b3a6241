package dev.runwire.conformance;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The arguments of an op. */
record Args(JsonObject values) {
  boolean has(String name) {
    return values.has(name) && !values.get(name).isJsonNull();
  }

  String text(String name) {
    return has(name) ? values.get(name).getAsString() : "";
  }

  long number(String name, long otherwise) {
    return has(name) ? values.get(name).getAsLong() : otherwise;
  }

  Duration seconds(String name, double otherwise) {
    double seconds = has(name) ? values.get(name).getAsDouble() : otherwise;
    return Duration.ofNanos((long) (seconds * 1e9));
  }

  boolean isTrue(String name, boolean otherwise) {
    return has(name) ? values.get(name).getAsBoolean() : otherwise;
  }

  Map<String, String> map(String name) {
    Map<String, String> found = new LinkedHashMap<>();
    if (has(name)) {
      values
          .getAsJsonObject(name)
          .entrySet()
          .forEach(one -> found.put(one.getKey(), one.getValue().getAsString()));
    }
    return found;
  }

  List<String> texts(String name) {
    List<String> found = new ArrayList<>();
    if (has(name)) {
      for (JsonElement one : values.getAsJsonArray(name)) {
        found.add(one.getAsString());
      }
    }
    return found;
  }

  List<Args> objects(String name) {
    List<Args> found = new ArrayList<>();
    for (JsonElement one : values.getAsJsonArray(name)) {
      found.add(new Args(one.getAsJsonObject()));
    }
    return found;
  }

  double bits(String name) {
    return Double.longBitsToDouble(Long.parseUnsignedLong(text(name), 16));
  }
}
