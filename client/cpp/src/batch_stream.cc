#include "batch_stream.h"

#include <algorithm>
#include <utility>

#include "status.h"
#include "version.h"

namespace runwire {

namespace {

constexpr int kWindowBatches = 8;
constexpr std::size_t kWindowBytes = 8 << 20;
constexpr std::chrono::seconds kHeartbeat{15};
// For an answer to what was sent: a server waits 10 s for a full queue.
constexpr std::chrono::seconds kSilence{30};

Steady::duration interval(const v1::WriteAdvice& advice) {
  return std::chrono::seconds(advice.min_interval().seconds()) +
         std::chrono::nanoseconds(advice.min_interval().nanos());
}

}  // namespace

BatchStream::BatchStream(Caller& caller, BatchQueue& queue, const std::string& run_id)
    : caller_(caller), queue_(queue), number_(queue.new_stream(queue.guard())) {
  auto& open = *open_.mutable_open();
  open.set_run_id(run_id);
  open.set_writer_id(queue.writer_id);
  open.set_client(std::string("cpp/") + kVersion);
  heartbeat_.mutable_heartbeat();
  caller_.add_metadata(context_);
}

void BatchStream::run(const Cancellation& stop) {
  open(stop);
  const OnCancel on_cancel(stop, [this] { context_.TryCancel(); });
  auto guard = queue_.guard();
  while (!is_done_) {
    const auto now = Steady::now();
    if (is_owed(guard) && heard_at_ + kSilence <= now) {
      fail(Error(Code::kUnavailable, "the server is silent"));
    }
    bool has_acted = false;
    try {
      has_acted = act(guard, now);
    } catch (const std::exception& error) {  // of memory; gRPC holds this object until it is done
      fail(Error(Code::kUnavailable, error.what()));
    }
    if (failure_ && cancel(guard)) has_acted = true;
    // What was heard while it acted, without the lock, has woken nobody: looked at before a wait.
    if (!has_acted && !is_done_) queue_.changed().wait_until(guard, next_time(guard));
  }
  guard.unlock();
  conclude();
}

// gRPC is never called with the lock: it may call back at once. False: that was done before.
bool BatchStream::cancel(BatchQueue::Guard& guard) {
  if (std::exchange(is_cancelled_, true)) return false;
  guard.unlock();
  context_.TryCancel();
  guard.lock();
  return true;
}

// Held, because writes are started by a thread that is not gRPC's: see ClientBidiReactor::AddHold.
void BatchStream::open(const Cancellation& stop) {
  caller_.stub<v1::MetricService>({{}, stop}).async()->StreamBatches(&context_, this);
  AddHold();
  StartRead(&response_);
  StartWrite(&open_);
  StartCall();
}

// Does what can be done now, a write at a time; false: there is nothing.
bool BatchStream::act(BatchQueue::Guard& guard, Steady::time_point now) {
  if (is_writing_) return false;
  if (!is_reading_) return let_go(guard);
  if (!opened_ || half_closed_ || failure_) return false;
  if (closing_ || queue_.is_over(guard)) {
    half_close(guard);
    return true;
  }
  if (may_send(guard) && sent_at_ + interval(queue_.advice(guard)) <= now) {
    if (auto batch = queue_.next(guard, sent_, now)) {
      send(guard, std::move(batch), now);
      return true;
    }
  }
  if (sent_at_ + kHeartbeat > now) return false;
  send_heartbeat(guard, now);
  return true;
}

// gRPC may say that the call is done, once nothing more is written.
bool BatchStream::let_go(BatchQueue::Guard& guard) {
  if (!std::exchange(is_held_, false)) return false;
  guard.unlock();
  RemoveHold();
  guard.lock();
  return true;
}

bool BatchStream::may_send(const BatchQueue::Guard& guard) const {
  const int advised = queue_.advice(guard).max_unacked_batches();
  const int window = advised > 0 ? std::min(advised, kWindowBatches) : kWindowBatches;
  return sent_ - queue_.acknowledged(guard) < window &&
         queue_.bytes_up_to(guard, sent_) < kWindowBytes;
}

void BatchStream::send(BatchQueue::Guard& guard, std::shared_ptr<Batch> batch,
                       Steady::time_point now) {
  queue_.declare(guard, *batch, number_, known_);
  if (!is_under_way(guard)) heard_at_ = now;
  sent_ = batch->sequence();
  writing_ = std::move(batch);
  write(guard, writing_->request, now);
}

void BatchStream::send_heartbeat(BatchQueue::Guard& guard, Steady::time_point now) {
  write(guard, heartbeat_, now);
}

void BatchStream::write(BatchQueue::Guard& guard, const v1::StreamBatchesRequest& request,
                        Steady::time_point now) {
  is_writing_ = true;
  sent_at_ = now;
  guard.unlock();
  StartWrite(&request);
  guard.lock();
}

void BatchStream::half_close(BatchQueue::Guard& guard) {
  half_closed_ = true;
  heard_at_ = Steady::now();
  guard.unlock();
  StartWritesDone();
  guard.lock();
}

bool BatchStream::is_under_way(const BatchQueue::Guard& guard) const {
  return sent_ > queue_.acknowledged(guard);
}

// Whether the server owes a word.
bool BatchStream::is_owed(const BatchQueue::Guard& guard) const {
  return !failure_ && (!opened_ || half_closed_ || is_under_way(guard));
}

// Never a time that has passed where act() would do nothing: run() would not wait.
Steady::time_point BatchStream::next_time(const BatchQueue::Guard& guard) const {
  auto time = Steady::now() + kHeartbeat;  // at least
  if (is_owed(guard)) time = std::min(time, heard_at_ + kSilence);
  if (is_writing_ || !is_reading_ || !opened_ || half_closed_ || failure_) return time;
  time = std::min(time, sent_at_ + kHeartbeat);
  if (may_send(guard)) {
    const auto pause = sent_at_ + interval(queue_.advice(guard));
    time = std::min(time, std::max(queue_.due(guard, sent_), pause));
  }
  return time;
}

void BatchStream::OnReadDone(bool ok) {
  {
    const auto guard = queue_.guard();
    is_reading_ = ok;
    if (ok) hear(guard);
    queue_.changed().notify_one();
  }
  if (ok) StartRead(&response_);
}

void BatchStream::OnWriteDone(bool /*ok: where not, reading ends too*/) {
  const auto guard = queue_.guard();
  is_writing_ = false;
  writing_.reset();
  queue_.changed().notify_one();
}

void BatchStream::OnDone(const grpc::Status& status) {
  const auto guard = queue_.guard();
  status_ = status;
  is_done_ = true;
  queue_.changed().notify_one();
}

void BatchStream::hear(const BatchQueue::Guard& guard) {
  heard_at_ = Steady::now();
  if (response_.has_opened()) {
    hear_opened(guard, response_.opened());
  } else if (response_.has_ack()) {
    queue_.reject(guard, response_.ack());
    queue_.acknowledge(guard, response_.ack().committed_sequence());
    // A stream before this one may still be heard of: what it brought need not be sent again.
    sent_ = std::max(sent_, queue_.acknowledged(guard));
  } else if (response_.has_advice()) {
    queue_.heed(guard, response_.advice());
  } else if (response_.has_closing()) {
    closing_ = true;
  }
}

void BatchStream::hear_opened(const BatchQueue::Guard& guard,
                              const v1::StreamBatchesResponse::Opened& opened) {
  opened_ = true;
  sent_ = opened.committed_sequence();
  queue_.heed(guard, opened.advice());
  if (sent_ >= queue_.acknowledged(guard)) return queue_.acknowledge(guard, sent_);
  // A database that was set back: what it acknowledged is not kept here any more.
  fail(Error(Code::kOutOfRange, "the server has lost batches that it had acknowledged",
             "SEQUENCE_GAP",
             {{"sequence", std::to_string(queue_.acknowledged(guard) + 1)},
              {"committed_sequence", std::to_string(sent_)}}));
}

void BatchStream::conclude() const {
  if (failure_) throw Error(*failure_);
  caller_.check(status_);
  if (!closing_ && !half_closed_) throw Error(Code::kUnavailable, "the server ended a stream");
}

}  // namespace runwire
