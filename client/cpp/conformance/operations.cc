#include "operations.h"

#include <runwire/v1/experiment_service.pb.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <thread>

namespace conformance {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Clock = runwire::Writer::Clock;

constexpr std::int64_t kFirstMicros = 1'700'000'000'000'000;

double value_of(const std::string& bits) {
  const std::uint64_t number = std::stoull(bits, nullptr, 16);
  double made = 0;
  std::memcpy(&made, &number, sizeof made);
  return made;
}

// Point i of the series of a seed.
double series_value(std::uint64_t seed, std::uint64_t i) {
  std::uint64_t z = seed + (i + 1) * 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

Clock::time_point time_of(std::int64_t micros) {
  return Clock::time_point(
      std::chrono::duration_cast<Clock::duration>(std::chrono::microseconds(micros)));
}

milliseconds seconds(const Arguments& args, const std::string& name, double otherwise) {
  return milliseconds(static_cast<std::int64_t>(args.number(name, otherwise) * 1000));
}

Struct message(const google::protobuf::Message& one) {
  return object({{"message", value(base64(serialised(one)))}});
}

Value rejections(const std::vector<runwire::Rejection>& all) {
  std::vector<Value> list;
  for (const auto& one : all) {
    list.push_back(value(object({{"key", value(one.key)}, {"reason", value(one.reason)}})));
  }
  return value(list);
}

std::vector<std::pair<std::string, Value>> stored(const runwire::Blob& blob) {
  return {{"digest", value(blob.digest())}, {"size", value(std::to_string(blob.size_bytes()))}};
}

// Keeps the first and the last of what it was told.
struct Progress {
  std::optional<std::int64_t> first;
  std::int64_t last = 0;

  runwire::TransferOptions options() {
    runwire::TransferOptions made;
    made.progress = [this](std::int64_t done, std::int64_t) {
      if (!first) first = done;
      last = done;
    };
    return made;
  }
  Struct with(const runwire::Blob& blob) const {
    auto fields = stored(blob);
    fields.emplace_back("progress",
                        value(std::vector<Value>{value(static_cast<double>(first.value_or(0))),
                                                 value(static_cast<double>(last))}));
    return object(fields);
  }
};

// Nanoseconds of each call, in their order of size.
template <class Call>
std::vector<double> timed(int calls, Call call) {
  std::vector<double> took(static_cast<std::size_t>(calls));
  for (auto& one : took) {
    const auto before = steady_clock::now();
    call();
    one = std::chrono::duration<double, std::nano>(steady_clock::now() - before).count();
  }
  std::sort(took.begin(), took.end());
  return took;
}

Struct percentiles(const std::vector<double>& took) {
  return object({{"p50_us", value(took[took.size() / 2] / 1000)},
                 {"p99_us", value(took[took.size() * 99 / 100] / 1000)}});
}

}  // namespace

Struct told(const runwire::Error& error) {
  Struct metadata;
  for (const auto& [key, one] : error.metadata()) (*metadata.mutable_fields())[key] = value(one);
  const auto retry_after = error.retry_after();
  return object(
      {{"code", value(std::string(runwire::code_name(error.code())))},
       {"reason", value(error.reason())},
       {"metadata", value(metadata)},
       {"message", value(error.what())},
       {"retry_after_s",
        retry_after ? value(std::chrono::duration<double>(*retry_after).count()) : null()}});
}

Operations::Operations() {
#define OPERATION(name) operations_[#name] = &Operations::name
  OPERATION(hello);
  OPERATION(connect);
  OPERATION(server_info);
  OPERATION(create_run);
  OPERATION(get_run);
  OPERATION(log_params);
  OPERATION(log_tags);
  OPERATION(log_metrics);
  OPERATION(finish_run);
  OPERATION(search_runs);
  OPERATION(cancel_get_run);
  OPERATION(open_writer);
  OPERATION(write);
  OPERATION(write_series);
  OPERATION(flush);
  OPERATION(writer_status);
  OPERATION(close_writer);
  OPERATION(upload);
  OPERATION(upload_data);
  OPERATION(download);
  OPERATION(download_data);
  OPERATION(list_artifacts);
  OPERATION(create_model);
  OPERATION(create_version);
  OPERATION(set_alias);
  OPERATION(resolve);
  OPERATION(open_watcher);
  OPERATION(watcher_wait);
  OPERATION(watcher_get);
  OPERATION(watcher_status);
  OPERATION(close_watcher);
  OPERATION(reserialize);
  OPERATION(bench_log);
  OPERATION(bench_resolve);
  OPERATION(bench_read);
#undef OPERATION
}

Struct Operations::call(const std::string& op, const Arguments& args) {
  const auto found = operations_.find(op);
  if (found == operations_.end()) throw std::runtime_error("no such operation: " + op);
  return (this->*found->second)(args);
}

const runwire::Client& Operations::client() const {
  if (!client_) throw std::runtime_error("connect comes first");
  return *client_;
}

Struct Operations::hello(const Arguments& /*args*/) {
  std::vector<Value> offered;
  for (const char* one : {"runs", "search", "writer", "bounded", "files", "streams", "registry",
                          "watcher", "cancel", "tls"}) {
    offered.push_back(value(one));
  }
  return object({{"language", value("cpp")},
                 {"version", value(CONFORMANCE_VERSION)},
                 {"transport", value("grpc")},
                 {"capabilities", value(offered)}});
}

Struct Operations::connect(const Arguments& args) {
  watchers_.clear();
  writers_.clear();
  runwire::ClientOptions options;
  options.token = args.text("token");
  options.timeout = seconds(args, "timeout_s", 30);
  client_.emplace(args.text("uri"), options);
  return {};
}

Struct Operations::server_info(const Arguments& /*args*/) {
  return message(client().server_info());
}

// Runs -----------------------------------------------------------------------------------

Struct Operations::create_run(const Arguments& args) {
  runwire::NewRun run;
  run.experiment_name = args.text("experiment_name");
  run.name = args.text("name");
  run.params = args.map("params");
  run.tags = args.map("tags");
  return message(client().runs().create(run));
}

Struct Operations::get_run(const Arguments& args) {
  runwire::CallOptions options;
  if (args.has("timeout_s")) options.timeout = seconds(args, "timeout_s", 0);
  return message(client().runs().get(args.text("run_id"), options));
}

Struct Operations::log_params(const Arguments& args) {
  const auto rejected = client().runs().log_params(args.text("run_id"), args.map("params"));
  return object({{"rejections", rejections(rejected)}});
}

Struct Operations::log_tags(const Arguments& args) {
  const auto rejected = client().runs().log_tags(args.text("run_id"), args.map("tags"));
  return object({{"rejections", rejections(rejected)}});
}

Struct Operations::log_metrics(const Arguments& args) {
  std::vector<runwire::Point> points;
  for (const auto& one : args.objects("metrics")) {
    points.push_back({one.text("key"), value_of(one.text("bits")), one.int64("step"), {}});
  }
  const auto rejected = client().runs().log_points(args.text("run_id"), points);
  return object({{"rejections", rejections(rejected)}});
}

Struct Operations::finish_run(const Arguments& args) {
  const std::string state = args.has("state") ? args.text("state") : "FINISHED";
  runwire::Run::State number = runwire::Run::STATE_UNSPECIFIED;
  runwire::Run::State_Parse("STATE_" + state, &number);
  return message(client().runs().finish(args.text("run_id"), number));
}

Struct Operations::search_runs(const Arguments& args) {
  runwire::RunSearch search;
  search.filter = args.text("filter");
  search.order_by = args.text("order_by");
  search.page_size = static_cast<int>(args.number("page_size"));
  std::vector<Value> run_ids;
  for (const auto& run : client().runs().search(search)) run_ids.push_back(value(run.run_id()));
  return object({{"run_ids", value(run_ids)}});
}

Struct Operations::cancel_get_run(const Arguments& args) {
  runwire::CallOptions options;
  options.cancellation.emplace();
  std::thread elsewhere([&, cancellation = *options.cancellation] {
    std::this_thread::sleep_for(milliseconds(static_cast<int>(args.number("after_ms"))));
    cancellation.cancel();
  });
  try {
    const auto run = client().runs().get(args.text("run_id"), options);
    elsewhere.join();
    return message(run);
  } catch (...) {
    elsewhere.join();
    throw;
  }
}

// Writers --------------------------------------------------------------------------------

Struct Operations::open_writer(const Arguments& args) {
  runwire::WriterOptions options;
  options.flush_interval = milliseconds(static_cast<int>(args.number("flush_interval_ms", 200)));
  options.max_batch_bytes = static_cast<std::size_t>(args.number("max_batch_bytes"));
  options.max_buffered_bytes = static_cast<std::size_t>(args.number("max_buffered_bytes"));
  if (args.text("when_full") == "drop") options.when_full = runwire::WhenFull::kDrop;
  const std::string name = "writer-" + std::to_string(opened_++);
  writers_.emplace(name, client().writer(args.text("run_id"), options));
  return object({{"writer", value(name)}});
}

Struct Operations::write(const Arguments& args) {
  for (const auto& one : args.objects("points")) {
    writer(args).log_metric(one.text("key"), value_of(one.text("bits")), one.int64("step"),
                            time_of(one.int64("time_micros")));
  }
  return {};
}

Struct Operations::write_series(const Arguments& args) {
  runwire::Writer& to = writer(args);
  const std::string key = args.text("key");
  const auto count = static_cast<std::int64_t>(args.number("count"));
  const auto seed = static_cast<std::uint64_t>(args.int64("seed"));
  const auto threads = static_cast<int>(args.number("threads", 1));
  std::vector<std::thread> working;
  for (int number = 0; number < threads; ++number) {
    working.emplace_back([&, number] {
      for (std::int64_t i = number; i < count; i += threads) {
        to.log_metric(key, series_value(seed, static_cast<std::uint64_t>(i)), i,
                      time_of(kFirstMicros + i));
      }
    });
  }
  for (auto& one : working) one.join();
  return {};
}

Struct Operations::flush(const Arguments& args) {
  writer(args).flush(seconds(args, "timeout_s", 120));
  return {};
}

Struct Operations::writer_status(const Arguments& args) {
  const auto status = writer(args).status();
  return object({{"stop_requested", value(status.stop_requested)},
                 {"dropped_points", value(std::to_string(status.dropped_points))},
                 {"rejections", rejections(status.rejections)},
                 {"writer_id", value(status.writer_id)},
                 {"error", status.error ? value(told(*status.error)) : null()}});
}

Struct Operations::close_writer(const Arguments& args) {
  writer(args).close(seconds(args, "timeout_s", 120));
  writers_.erase(args.text("writer"));
  return {};
}

// Artifacts ------------------------------------------------------------------------------

Struct Operations::upload(const Arguments& args) {
  Progress progress;
  const std::filesystem::path file = args.text("file");
  return progress.with(client().artifacts().upload(args.text("run_id"), args.text("path"), file,
                                                   progress.options()));
}

Struct Operations::upload_data(const Arguments& args) {
  const std::string data = from_base64(args.text("data"));
  return object(
      stored(client().artifacts().upload_bytes(args.text("run_id"), args.text("path"), data)));
}

Struct Operations::download(const Arguments& args) {
  Progress progress;
  const std::filesystem::path file = args.text("file");
  return progress.with(client().artifacts().download(args.text("run_id"), args.text("path"), file,
                                                     progress.options()));
}

Struct Operations::download_data(const Arguments& args) {
  const auto data = client().artifacts().download_bytes(args.text("run_id"), args.text("path"));
  return object({{"data", value(base64(data))}});
}

Struct Operations::list_artifacts(const Arguments& args) {
  std::vector<Value> paths;
  for (const auto& one : client().artifacts().list(args.text("run_id"), args.text("prefix"),
                                                   args.flag("recursive", true))) {
    paths.push_back(value(one.path()));
  }
  return object({{"paths", value(paths)}});
}

// Registry -------------------------------------------------------------------------------

Struct Operations::create_model(const Arguments& args) {
  runwire::NewModel model;
  model.name = args.text("name");
  return message(client().models().create(model));
}

Struct Operations::create_version(const Arguments& args) {
  runwire::NewModelVersion version;
  version.model = args.text("model");
  version.run_id = args.text("run_id");
  version.artifact_path = args.text("artifact_path");
  version.aliases = args.texts("aliases");
  return message(client().models().create_version(version));
}

Struct Operations::set_alias(const Arguments& args) {
  std::optional<std::int64_t> expected;
  if (args.has("expected_version")) expected = args.int64("expected_version");
  client().models().set_alias(args.text("model"), args.text("alias"), args.int64("version"),
                              expected);
  return {};
}

Struct Operations::resolve(const Arguments& args) {
  std::vector<Value> list;
  for (const auto& one : client().models().resolve_all(args.texts("references"))) {
    list.push_back(value(
        object({{"reference", value(one.reference)},
                {"version", one.version ? value(std::to_string(one.version->version())) : null()},
                {"reason", one.error ? value(one.error->reason()) : null()}})));
  }
  return object({{"resolved", value(list)}});
}

Struct Operations::open_watcher(const Arguments& args) {
  const std::string name = "watcher-" + std::to_string(opened_++);
  const auto log = std::make_shared<WatchLog>();
  watchers_.emplace(
      name, Watcher{log, runwire::ModelWatcher(client(), args.texts("references"),
                                               [log](const auto& change) { log->hear(change); })});
  return object({{"watcher", value(name)}});
}

Struct Operations::watcher_wait(const Arguments& args) {
  return object(
      {{"changes", value(watcher(args).log->wait(args.text("reference"), args.text("version"),
                                                 seconds(args, "timeout_s", 120)))}});
}

Struct Operations::watcher_get(const Arguments& args) {
  const auto version = watcher(args).models.get(args.text("reference"));
  return object({{"version", value(std::to_string(version.version()))}});
}

Struct Operations::watcher_status(const Arguments& args) {
  return object({{"connected", value(watcher(args).models.connected())}});
}

Struct Operations::close_watcher(const Arguments& args) {
  watchers_.erase(args.text("watcher"));
  return {};
}

// The rest -------------------------------------------------------------------------------

Struct Operations::reserialize(const Arguments& args) {
  using google::protobuf::DescriptorPool;
  using google::protobuf::MessageFactory;
  // Of a static library only what is named is linked; the client itself asks for no experiments.
  runwire::v1::GetExperimentRequest::descriptor();
  const auto* kind = DescriptorPool::generated_pool()->FindMessageTypeByName(args.text("type"));
  if (kind == nullptr) throw std::runtime_error("no such message");
  const std::unique_ptr<google::protobuf::Message> made(
      MessageFactory::generated_factory()->GetPrototype(kind)->New());
  if (!made->ParseFromString(from_base64(args.text("message")))) {
    throw std::runtime_error("it does not parse");
  }
  return message(*made);
}

Struct Operations::bench_log(const Arguments& args) {
  std::map<std::string, double> values;
  for (int key = 0; key < static_cast<int>(args.number("keys")); ++key) {
    values["key/" + std::to_string(key)] = key;
  }
  auto to = client().writer(args.text("run_id"));
  const auto start = steady_clock::now();
  std::int64_t step = 0;
  const auto took = timed(static_cast<int>(args.number("calls")), [&] { to.log(values, step++); });
  to.close(std::chrono::minutes(5));
  return object(
      {{"call_ns", value(took[took.size() / 2])},
       {"call_p99_ns", value(took[took.size() * 99 / 100])},
       {"seconds", value(std::chrono::duration<double>(steady_clock::now() - start).count())}});
}

Struct Operations::bench_resolve(const Arguments& args) {
  const std::string reference = args.text("reference");
  return percentiles(
      timed(static_cast<int>(args.number("calls")), [&] { client().models().resolve(reference); }));
}

Struct Operations::bench_read(const Arguments& args) {
  const std::string run_id = args.text("run_id");
  return percentiles(
      timed(static_cast<int>(args.number("calls")), [&] { client().runs().get(run_id); }));
}

}  // namespace conformance
