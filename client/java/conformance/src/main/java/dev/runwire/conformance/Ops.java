package dev.runwire.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.Message;
import dev.runwire.Artifacts;
import dev.runwire.MetricWriter;
import dev.runwire.RunwireClient;
import dev.runwire.RunwireException;
import dev.runwire.v1.ArtifactOwner;
import dev.runwire.v1.Blob;
import dev.runwire.v1.GetRunResponse;
import dev.runwire.v1.ListArtifactsRequest;
import dev.runwire.v1.Rejection;
import dev.runwire.v1.ResolveModelsResponse;
import dev.runwire.v1.Run;
import dev.runwire.v1.SearchRunsRequest;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** What a runner can be told to do; see tests/conformance/README.md. */
final class Ops implements AutoCloseable {
  private static final List<String> CAPABILITIES =
      List.of(
          "runs",
          "search",
          "writer",
          "files",
          "streams",
          "registry",
          "watcher",
          "cancel",
          "bounded",
          "tls");

  private RunwireClient client;
  private final Map<String, MetricWriter> writers = new HashMap<>();
  private final Map<String, Watched> watchers = new HashMap<>();

  JsonObject run(String op, Args args) throws Exception {
    return switch (op) {
      case "hello" -> hello();
      case "connect" -> connect(args);
      case "server_info" -> message(client.serverInfo());
      case "create_run" -> createRun(args);
      case "get_run" -> getRun(args);
      case "log_params" ->
          rejections(client.runs().logParams(args.text("run_id"), args.map("params")));
      case "log_tags" -> rejections(client.runs().logTags(args.text("run_id"), args.map("tags")));
      case "log_metrics" -> logMetrics(args);
      case "finish_run" -> finishRun(args);
      case "search_runs" -> searchRuns(args);
      case "cancel_get_run" -> cancelGetRun(args);
      case "open_writer" -> openWriter(args);
      case "write" -> write(args);
      case "write_series" -> Series.write(writer(args), args);
      case "flush" -> flush(args);
      case "writer_status" -> writerStatus(args);
      case "close_writer" -> closeWriter(args);
      case "upload" -> upload(args);
      case "upload_data" -> uploadData(args);
      case "download" -> download(args);
      case "download_data" -> downloadData(args);
      case "list_artifacts" -> listArtifacts(args);
      case "create_model" -> message(client.models().create(args.text("name")));
      case "create_version" -> createVersion(args);
      case "set_alias" -> setAlias(args);
      case "resolve" -> resolve(args);
      case "open_watcher" -> openWatcher(args);
      case "watcher_wait" -> watcher(args).await(args);
      case "watcher_get" -> watcher(args).get(args.text("reference"));
      case "watcher_status" -> watcher(args).status();
      case "close_watcher" -> closeWatcher(args);
      case "reserialize" -> message(Types.parse(args.text("type"), data(args, "message")));
      case "bench_log" -> Bench.log(client.writer(args.text("run_id")), args);
      case "bench_resolve" ->
          Bench.timed(args, () -> client.models().resolve(args.text("reference")));
      case "bench_read" -> Bench.timed(args, () -> client.runs().get(args.text("run_id")));
      default -> throw new IllegalArgumentException("there is no op " + op);
    };
  }

  private static JsonObject hello() {
    JsonObject told = new JsonObject();
    told.addProperty("language", "java");
    told.addProperty("version", RunwireClient.VERSION);
    told.addProperty("transport", "grpc");
    told.add("capabilities", Main.texts(CAPABILITIES));
    return told;
  }

  private JsonObject connect(Args args) {
    close();
    client =
        RunwireClient.builder()
            .uri(args.text("uri"))
            .token(args.text("token"))
            .timeout(args.seconds("timeout_s", 30))
            .build();
    return new JsonObject();
  }

  @Override
  public void close() {
    watchers.values().forEach(one -> one.watcher.close());
    watchers.clear();
    for (MetricWriter writer : writers.values()) {
      try {
        writer.close();
      } catch (RunwireException lost) {
        System.err.println("a writer was left with " + lost);
      }
    }
    writers.clear();
    if (client != null) {
      client.close();
    }
  }

  // Runs -----------------------------------------------------------------------------------

  private JsonObject createRun(Args args) {
    Run about =
        Run.newBuilder()
            .setName(args.text("name"))
            .putAllParams(args.map("params"))
            .putAllTags(args.map("tags"))
            .build();
    return message(client.runs().create(args.text("experiment_name"), about));
  }

  private JsonObject getRun(Args args) {
    String id = args.text("run_id");
    return message(
        args.has("timeout_s")
            ? client.runs().get(id, args.seconds("timeout_s", 30))
            : client.runs().get(id));
  }

  private JsonObject logMetrics(Args args) {
    List<Rejection> rejected = new ArrayList<>();
    for (Args one : args.objects("metrics")) {
      rejected.addAll(
          client
              .runs()
              .logMetrics(
                  args.text("run_id"),
                  one.number("step", 0),
                  Map.of(one.text("key"), one.bits("bits"))));
    }
    return rejections(rejected);
  }

  private static JsonObject rejections(List<Rejection> rejected) {
    JsonObject told = new JsonObject();
    JsonArray array = new JsonArray();
    for (Rejection one : rejected) {
      array.add(Main.object(Map.of("key", one.getKey(), "reason", one.getFault().getReason())));
    }
    told.add("rejections", array);
    return told;
  }

  private JsonObject finishRun(Args args) {
    String state = args.has("state") ? args.text("state") : "FINISHED";
    return message(client.runs().finish(args.text("run_id"), Run.State.valueOf("STATE_" + state)));
  }

  private JsonObject searchRuns(Args args) {
    SearchRunsRequest request =
        SearchRunsRequest.newBuilder()
            .setFilter(args.text("filter"))
            .setOrderBy(args.text("order_by"))
            .setPageSize((int) args.number("page_size", 0))
            .build();
    JsonArray ids = new JsonArray();
    for (Run run : client.runs().search(request)) {
      ids.add(run.getRunId());
    }
    JsonObject told = new JsonObject();
    told.add("run_ids", ids);
    return told;
  }

  private JsonObject cancelGetRun(Args args) throws Exception {
    CompletableFuture<GetRunResponse> answer = client.runs().getAsync(args.text("run_id"));
    TimeUnit.MILLISECONDS.sleep(args.number("after_ms", 100));
    answer.cancel(true);
    try {
      return message(answer.get().getRun());
    } catch (java.util.concurrent.CancellationException cancelled) {
      throw RunwireException.from(cancelled);
    }
  }

  // Writers --------------------------------------------------------------------------------

  private JsonObject openWriter(Args args) {
    MetricWriter.Options.Builder options =
        MetricWriter.Options.builder()
            .flushInterval(Duration.ofMillis(args.number("flush_interval_ms", 200)))
            .whenFull(
                args.text("when_full").equals("drop")
                    ? MetricWriter.WhenFull.DROP
                    : MetricWriter.WhenFull.BLOCK);
    if (args.number("max_batch_bytes", 0) > 0) {
      options.maxBatchBytes(args.number("max_batch_bytes", 0));
    }
    if (args.number("max_buffered_bytes", 0) > 0) {
      options.maxBufferedBytes(args.number("max_buffered_bytes", 0));
    }
    String name = "writer-" + writers.size();
    writers.put(name, client.writer(args.text("run_id"), options.build()));
    return Main.object(Map.of("writer", name));
  }

  private MetricWriter writer(Args args) {
    return writers.get(args.text("writer"));
  }

  private JsonObject write(Args args) {
    for (Args one : args.objects("points")) {
      writer(args)
          .log(
              one.text("key"),
              one.bits("bits"),
              one.number("step", 0),
              one.number("time_micros", 0));
    }
    return new JsonObject();
  }

  private JsonObject flush(Args args) {
    writer(args).flush(args.seconds("timeout_s", 120));
    return new JsonObject();
  }

  private JsonObject writerStatus(Args args) {
    MetricWriter writer = writer(args);
    JsonObject told = rejections(writer.rejections());
    told.addProperty("stop_requested", writer.isStopRequested());
    told.addProperty("dropped_points", Long.toString(writer.droppedPoints()));
    told.addProperty("writer_id", writer.writerId());
    told.add("error", Main.told(writer.failure()));
    return told;
  }

  private JsonObject closeWriter(Args args) {
    MetricWriter writer = writers.remove(args.text("writer"));
    writer.flush(args.seconds("timeout_s", 120));
    writer.close();
    return new JsonObject();
  }

  // Artifacts ------------------------------------------------------------------------------

  private JsonObject upload(Args args) throws IOException {
    Seen seen = new Seen();
    Path file = new File(args.text("file")).toPath();
    return seen.tell(client.artifacts().upload(args.text("run_id"), args.text("path"), file, seen));
  }

  private JsonObject uploadData(Args args) {
    return blob(
        client.artifacts().upload(args.text("run_id"), args.text("path"), data(args, "data")));
  }

  private JsonObject download(Args args) throws IOException {
    Seen seen = new Seen();
    Path file = new File(args.text("file")).toPath();
    return seen.tell(
        client.artifacts().download(args.text("run_id"), args.text("path"), file, seen));
  }

  private JsonObject downloadData(Args args) {
    byte[] data = client.artifacts().download(args.text("run_id"), args.text("path"));
    return Main.object(Map.of("data", Base64.getEncoder().encodeToString(data)));
  }

  private JsonObject listArtifacts(Args args) {
    JsonArray paths = new JsonArray();
    client
        .artifacts()
        .list(
            ListArtifactsRequest.newBuilder()
                .setOwner(ArtifactOwner.newBuilder().setRunId(args.text("run_id")))
                .setPrefix(args.text("prefix"))
                .setRecursive(args.isTrue("recursive", true))
                .build())
        .forEach(one -> paths.add(one.getPath()));
    JsonObject told = new JsonObject();
    told.add("paths", paths);
    return told;
  }

  private static JsonObject blob(Blob blob) {
    return Main.object(
        Map.of("digest", blob.getDigest(), "size", Long.toString(blob.getSizeBytes())));
  }

  /** What a progress callback was told. */
  private static final class Seen implements Artifacts.Progress {
    private long first = -1;
    private long last;

    @Override
    public void at(long done, long total) {
      first = first < 0 ? done : first;
      last = done;
    }

    JsonObject tell(Blob stored) {
      JsonObject told = blob(stored);
      JsonArray progress = new JsonArray();
      progress.add(first);
      progress.add(last);
      told.add("progress", progress);
      return told;
    }
  }

  // Registry -------------------------------------------------------------------------------

  private JsonObject createVersion(Args args) {
    return message(
        client
            .models()
            .createVersion(
                args.text("model"),
                args.text("run_id"),
                args.text("artifact_path"),
                args.texts("aliases").toArray(String[]::new)));
  }

  private JsonObject setAlias(Args args) {
    client
        .models()
        .setAlias(
            args.text("model"),
            args.text("alias"),
            args.number("version", 0),
            args.has("expected_version")
                ? OptionalLong.of(args.number("expected_version", 0))
                : OptionalLong.empty());
    return new JsonObject();
  }

  private JsonObject resolve(Args args) {
    JsonArray resolved = new JsonArray();
    for (ResolveModelsResponse.Resolved one :
        client.models().resolveAll(args.texts("references")).getResolvedList()) {
      Map<String, String> told = new LinkedHashMap<>();
      told.put("reference", one.getReference());
      told.put(
          "version", one.hasFault() ? null : Long.toString(one.getModelVersion().getVersion()));
      told.put("reason", one.hasFault() ? one.getFault().getReason() : null);
      JsonObject object = new JsonObject();
      told.forEach(
          (key, value) -> object.add(key, value == null ? JsonNull.INSTANCE : text(value)));
      resolved.add(object);
    }
    JsonObject told = new JsonObject();
    told.add("resolved", resolved);
    return told;
  }

  private static com.google.gson.JsonPrimitive text(String value) {
    return new com.google.gson.JsonPrimitive(value);
  }

  private JsonObject openWatcher(Args args) {
    String name = "watcher-" + watchers.size();
    watchers.put(name, new Watched(client, args.texts("references")));
    return Main.object(Map.of("watcher", name));
  }

  private Watched watcher(Args args) {
    return watchers.get(args.text("watcher"));
  }

  private JsonObject closeWatcher(Args args) {
    watchers.remove(args.text("watcher")).watcher.close();
    return new JsonObject();
  }

  // Messages -------------------------------------------------------------------------------

  private static byte[] data(Args args, String name) {
    return Base64.getDecoder().decode(args.text(name));
  }

  private static JsonObject message(Message message) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try {
      CodedOutputStream coded = CodedOutputStream.newInstance(out);
      coded.useDeterministicSerialization();
      message.writeTo(coded);
      coded.flush();
    } catch (IOException impossible) {
      throw new IllegalStateException(impossible);
    }
    return Main.object(Map.of("message", Base64.getEncoder().encodeToString(out.toByteArray())));
  }
}
