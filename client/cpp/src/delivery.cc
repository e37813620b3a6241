#include "delivery.h"

#include <algorithm>
#include <utility>

#include "batch_stream.h"
#include "status.h"

namespace runwire {

namespace {

constexpr std::chrono::milliseconds kFirstDelay{100};
constexpr std::chrono::milliseconds kMostDelay{5000};
// Without streams for so long where one has failed for a reason that is not our server's: a proxy
// may let no stream pass.
constexpr std::chrono::seconds kMistrust{10};
constexpr std::chrono::seconds kHeartbeat{15};
// A call of a queue that is over ends by itself within this.
constexpr std::chrono::seconds kLastWords{1};
// Of a fault of the server with the same batch.
constexpr int kMostFaults = 20;

bool is_away(const Error& error) {
  return error.code() == Code::kUnavailable || error.code() == Code::kDeadlineExceeded;
}

}  // namespace

Delivery::Delivery(std::shared_ptr<Caller> caller, BatchQueue& queue, std::string run_id)
    : caller_(std::move(caller)),
      queue_(queue),
      run_id_(std::move(run_id)),
      thread_([this] { work(); }) {}

void Delivery::stop() {
  if (!thread_.joinable()) return;
  {
    auto guard = queue_.guard();
    if (queue_.is_over(guard)) over_.wait_for(guard, kLastWords, [&] { return is_over_; });
  }
  stop_.cancel();
  {
    const auto guard = queue_.guard();
    queue_.changed().notify_one();
  }
  thread_.join();
}

void Delivery::work() {
  auto guard = queue_.guard();
  while (!queue_.is_over(guard) && !stop_.is_cancelled()) {
    const auto acknowledged = queue_.acknowledged(guard);
    guard.unlock();
    try {
      deliver();
      failures_ = 0;
    } catch (const Error& error) {
      guard.lock();
      if (queue_.acknowledged(guard) > acknowledged) failures_ = 0;
      guard.unlock();
      if (!stop_.is_cancelled()) settle(error);
    } catch (const std::exception& error) {  // out of memory: perhaps not for long
      settle(Error(Code::kUnavailable, error.what()));
    }
    guard.lock();
  }
  is_over_ = true;
  over_.notify_all();
}

void Delivery::deliver() {
  if (Steady::now() >= streams_from_) {
    stream();
  } else {
    send_one();
  }
}

void Delivery::stream() {
  BatchStream stream(*caller_, queue_, run_id_);
  try {
    stream.run(stop_);
  } catch (const Error& error) {
    if (!error.reason().empty() || is_away(error) || error.code() == Code::kCancelled) throw;
    streams_from_ = Steady::now() + kMistrust;
    if (stream.was_opened()) throw;
  }
}

// One batch, or a heartbeat, in a call of its own; waits until there is one to send.
void Delivery::send_one() {
  auto guard = queue_.guard();
  const auto acknowledged = queue_.acknowledged(guard);
  const auto until = std::min(Steady::now() + kHeartbeat, streams_from_);
  std::shared_ptr<Batch> batch;
  while ((batch = queue_.next(guard, acknowledged, Steady::now())) == nullptr &&
         Steady::now() < until && !queue_.is_over(guard) && !stop_.is_cancelled()) {
    queue_.changed().wait_until(guard, std::min(until, queue_.due(guard, acknowledged)));
  }
  if (queue_.is_over(guard) || (batch == nullptr && Steady::now() >= streams_from_)) return;
  v1::LogBatchRequest request;
  if (batch != nullptr) {
    request = request_of(guard, *batch);
  } else {
    request.set_run_id(run_id_);
  }
  guard.unlock();
  CallOptions options;
  options.cancellation = stop_;
  const auto response = caller_->unary<v1::MetricService>(
      "LogBatch", &v1::MetricService::Stub::LogBatch, request, options);
  guard.lock();
  queue_.heed(guard, response.advice());
  queue_.reject(guard, response.ack());
  if (batch != nullptr) queue_.acknowledge(guard, response.ack().committed_sequence());
}

v1::LogBatchRequest Delivery::request_of(const BatchQueue::Guard& guard, Batch& batch) {
  std::vector<bool> known;
  v1::LogBatchRequest request;
  request.set_run_id(run_id_);
  request.set_writer_id(queue_.writer_id);
  queue_.declare(guard, batch, queue_.new_stream(guard), known);
  *request.mutable_series() = batch.request.series();
  *request.mutable_batch() = batch.message();
  return request;
}

void Delivery::settle(const Error& error) {
  ++failures_;
  auto guard = queue_.guard();
  if (is_for_good(error)) return queue_.fail(guard, error);
  const auto delay = error.retry_after().value_or(std::chrono::nanoseconds{0}) +
                     jitter(doubled(kFirstDelay, failures_, kMostDelay));
  const auto until = Steady::now() + delay;
  while (Steady::now() < until && !queue_.is_over(guard) && !stop_.is_cancelled()) {
    queue_.changed().wait_until(guard, until);
  }
}

// What has no reason comes from something between us and the server, which may be mended.
bool Delivery::is_for_good(const Error& error) const {
  switch (error.code()) {
    case Code::kUnauthenticated:
    case Code::kPermissionDenied:
    case Code::kUnimplemented:
    case Code::kInvalidArgument:
    case Code::kNotFound:
      return true;
    default:
      break;
  }
  if (error.reason().empty() || is_away(error) || is_passing(error)) return false;
  // A gap is mended by what the next stream is told when it opens.
  const bool is_fault = error.code() == Code::kInternal || error.reason() == "SEQUENCE_GAP";
  return !is_fault || failures_ > kMostFaults;
}

}  // namespace runwire
