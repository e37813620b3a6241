package dev.runwire.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.runwire.ModelWatcher;
import dev.runwire.RunwireClient;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** A watcher, and what its callback was told. */
final class Watched {
  private record Told(String reference, String version) {}

  final ModelWatcher watcher;
  private final List<Told> changes = new ArrayList<>();

  Watched(RunwireClient client, List<String> references) {
    watcher = client.watchModels(references.toArray(String[]::new)).onChange(this::hear).start();
  }

  private synchronized void hear(ModelWatcher.Change change) {
    String version = change.now() == null ? null : Long.toString(change.now().getVersion());
    changes.add(new Told(change.reference(), version));
    notifyAll();
  }

  synchronized JsonObject await(Args args) throws InterruptedException {
    Told due = new Told(args.text("reference"), args.text("version"));
    long end = System.nanoTime() + args.seconds("timeout_s", 120).toNanos();
    while (!changes.contains(due)) {
      long left = (end - System.nanoTime()) / 1_000_000;
      if (left <= 0) {
        throw new IllegalStateException(due + " was not told: " + changes);
      }
      wait(left);
    }
    JsonArray told = new JsonArray();
    for (Told one : changes) {
      JsonObject object = Main.object(Map.of("reference", one.reference()));
      object.add(
          "version", one.version() == null ? JsonNull.INSTANCE : new JsonPrimitive(one.version()));
      told.add(object);
    }
    JsonObject answer = new JsonObject();
    answer.add("changes", told);
    return answer;
  }

  JsonObject get(String reference) {
    String version = Long.toString(watcher.get(reference).getVersion());
    return Main.object(Map.of("version", version));
  }

  JsonObject status() {
    return Main.object(Map.of("connected", watcher.isConnected()));
  }
}
