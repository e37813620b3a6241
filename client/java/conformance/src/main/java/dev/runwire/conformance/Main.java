package dev.runwire.conformance;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.runwire.RunwireException;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** Java's runner of the conformance suite: one request a line in, one answer a line out. */
public final class Main {
  private Main() {}

  /**
   * Reads standard input to its end.
   *
   * @param arguments none
   * @throws Exception where standard input fails
   */
  public static void main(String[] arguments) throws Exception {
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try (Ops ops = new Ops()) {
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        JsonObject request = JsonParser.parseString(line).getAsJsonObject();
        JsonObject answer = answer(ops, request);
        answer.add("id", request.get("id"));
        out.println(new Gson().newBuilder().serializeNulls().create().toJson(answer));
      }
    }
  }

  private static JsonObject answer(Ops ops, JsonObject request) {
    JsonObject answer = new JsonObject();
    try {
      String op = request.get("op").getAsString();
      answer.add("ok", ops.run(op, new Args(request.getAsJsonObject("args"))));
    } catch (RunwireException error) {
      answer.add("error", told(error));
    } catch (Exception | LinkageError fault) { // of the runner itself
      JsonObject told = new JsonObject();
      told.addProperty("code", "RUNNER");
      told.addProperty("message", fault.toString());
      fault.printStackTrace();
      answer.add("error", told);
    }
    return answer;
  }

  static JsonElement told(RunwireException error) {
    if (error == null) {
      return JsonNull.INSTANCE;
    }
    JsonObject told = new JsonObject();
    told.addProperty("code", error.code().name());
    told.addProperty("reason", error.reason());
    told.addProperty("message", error.getMessage());
    JsonObject metadata = new JsonObject();
    error.metadata().forEach(metadata::addProperty);
    told.add("metadata", metadata);
    told.addProperty(
        "retry_after_s", error.retryAfter().map(delay -> delay.toNanos() / 1e9).orElse(null));
    return told;
  }

  static JsonArray texts(Iterable<String> values) {
    JsonArray array = new JsonArray();
    values.forEach(array::add);
    return array;
  }

  static JsonObject object(Map<String, ?> values) {
    return new Gson().toJsonTree(values).getAsJsonObject();
  }
}
