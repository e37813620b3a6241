#include "runwire/runs.h"

#include <unistd.h>

#include <array>

#include "caller.h"
#include "status.h"
#include "text.h"

namespace runwire {

namespace {

using Service = v1::RunService;
using Stub = Service::Stub;

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

void set_now(google::protobuf::Timestamp& time) {
  using namespace std::chrono;  // NOLINT
  const auto now = duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
  time.set_seconds(now / 1'000'000);
  time.set_nanos(static_cast<std::int32_t>(now % 1'000'000) * 1000);
}

std::int64_t micros(const std::optional<std::chrono::system_clock::time_point>& time) {
  const auto at = time.value_or(std::chrono::system_clock::now()).time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(at).count();
}

void describe(v1::Source& source) {
  if (is_utf8(host_name())) source.set_host(host_name());
  source.set_kind("job");
  source.set_language("c++");
}

v1::MetricBatch batch_of(const std::vector<Point>& points) {
  v1::MetricBatch batch;
  std::map<std::string, std::uint32_t> ids;
  for (const auto& point : points) {
    const auto [place, is_new] = ids.emplace(point.key, ids.size() + 1);
    if (is_new) {
      auto& name = *batch.add_series();
      name.set_id(place->second);
      name.set_key(point.key);
    }
    auto& frame = *batch.add_frames();
    frame.add_series(place->second);
    frame.add_steps(point.step);
    frame.add_times_micros(micros(point.time));
    frame.add_values(point.value);
  }
  return batch;
}

// A writer of its own for each call: a repeat of it is stored once.
std::vector<Rejection> log(Caller& caller, const std::string& run_id, v1::MetricBatch batch,
                           const CallOptions& options) {
  v1::LogBatchRequest request;
  request.set_run_id(run_id);
  request.set_writer_id(random_hex(16));
  batch.set_sequence(1);
  *request.mutable_batch() = std::move(batch);
  const auto response = caller.unary<v1::MetricService>(
      "LogBatch", &v1::MetricService::Stub::LogBatch, request, options);
  std::vector<Rejection> rejections;
  for (const auto& one : response.ack().rejections()) {
    rejections.push_back({one.key(), one.points(), one.fault().reason(), one.fault().message()});
  }
  return rejections;
}

}  // namespace

Run Runs::create(const NewRun& run, const CallOptions& options) const {
  v1::CreateRunRequest request;
  request.set_experiment_name(run.experiment_name);
  if (!run.experiment_name.empty()) request.set_workspace(caller_->settings().workspace);
  Run& made = *request.mutable_run();
  made.set_run_id(run.run_id.empty() ? random_hex(16) : run.run_id);
  made.set_experiment_id(run.experiment_id);
  made.set_name(run.name);
  made.set_description(run.description);
  made.set_parent_run_id(run.parent_run_id);
  made.set_user(caller_->settings().user);
  made.mutable_params()->insert(run.params.begin(), run.params.end());
  made.mutable_tags()->insert(run.tags.begin(), run.tags.end());
  set_now(*made.mutable_start_time());
  describe(*made.mutable_source());
  return caller_->unary<Service>("CreateRun", &Stub::CreateRun, request, options).run();
}

Run Runs::get(const std::string& run_id, const CallOptions& options) const {
  v1::GetRunRequest request;
  request.set_run_id(run_id);
  return caller_->unary<Service>("GetRun", &Stub::GetRun, request, options).run();
}

Pager<Run> Runs::search(const RunSearch& search, const CallOptions& options) const {
  v1::SearchRunsRequest request;
  request.set_workspace(caller_->settings().workspace);
  request.set_filter(search.filter);
  request.set_order_by(search.order_by);
  request.set_page_size(search.page_size);
  request.set_view(search.full ? v1::RUN_VIEW_FULL : v1::RUN_VIEW_BASIC);
  for (const auto& id : search.experiment_ids) request.add_experiment_ids(id);
  for (const auto& column : search.columns) request.add_columns(column);
  return Pager<Run>([caller = caller_, request, options](const std::string& page_token) mutable {
    request.set_page_token(page_token);
    const auto found = caller->unary<Service>("SearchRuns", &Stub::SearchRuns, request, options);
    return Pager<Run>::Page{{found.runs().begin(), found.runs().end()}, found.next_page_token()};
  });
}

Run Runs::finish(const std::string& run_id, Run::State state, const CallOptions& options) const {
  v1::FinishRunRequest request;
  request.set_run_id(run_id);
  request.set_state(state);
  set_now(*request.mutable_end_time());
  return caller_->unary<Service>("FinishRun", &Stub::FinishRun, request, options).run();
}

Run Runs::resume(const std::string& run_id, const CallOptions& options) const {
  v1::ResumeRunRequest request;
  request.set_run_id(run_id);
  return caller_->unary<Service>("ResumeRun", &Stub::ResumeRun, request, options).run();
}

Run Runs::stop(const std::string& run_id, const std::string& reason,
               const CallOptions& options) const {
  v1::StopRunRequest request;
  request.set_run_id(run_id);
  request.set_reason(reason);
  return caller_->unary<Service>("StopRun", &Stub::StopRun, request, options).run();
}

Run Runs::remove(const std::string& run_id, const CallOptions& options) const {
  v1::DeleteRunRequest request;
  request.set_run_id(run_id);
  return caller_->unary<Service>("DeleteRun", &Stub::DeleteRun, request, options).run();
}

Run Runs::restore(const std::string& run_id, const CallOptions& options) const {
  v1::RestoreRunRequest request;
  request.set_run_id(run_id);
  return caller_->unary<Service>("RestoreRun", &Stub::RestoreRun, request, options).run();
}

std::vector<Rejection> Runs::log_params(const std::string& run_id, const Texts& params,
                                        const CallOptions& options) const {
  v1::MetricBatch batch;
  batch.mutable_params()->insert(params.begin(), params.end());
  return log(*caller_, run_id, std::move(batch), options);
}

std::vector<Rejection> Runs::log_tags(const std::string& run_id, const Texts& tags,
                                      const CallOptions& options) const {
  v1::MetricBatch batch;
  batch.mutable_tags()->insert(tags.begin(), tags.end());
  return log(*caller_, run_id, std::move(batch), options);
}

std::vector<Rejection> Runs::log_metrics(const std::string& run_id,
                                         const std::map<std::string, double>& values,
                                         std::int64_t step, const CallOptions& options) const {
  const auto now = std::chrono::system_clock::now();
  std::vector<Point> points;
  for (const auto& [key, value] : values) points.push_back({key, value, step, now});
  return log_points(run_id, points, options);
}

std::vector<Rejection> Runs::log_points(const std::string& run_id, const std::vector<Point>& points,
                                        const CallOptions& options) const {
  return log(*caller_, run_id, batch_of(points), options);
}

}  // namespace runwire
