#include "batch_queue.h"

#include <algorithm>
#include <utility>

#include "bounded.h"
#include "status.h"
#include "text.h"

namespace runwire {

namespace {

constexpr std::size_t kBatchBytes = 1 << 20;
constexpr std::size_t kMinBatchBytes = 16 << 10;
constexpr std::size_t kBufferedBytes = 64 << 20;
// A call with more goes as several rows: of its names and values together, at most.
constexpr std::size_t kRowBytes = 256 << 10;
constexpr std::size_t kTextBytes = 512 << 10;
constexpr std::size_t kKeptRejections = 1000;

std::size_t either(std::size_t given, std::size_t standard) {
  return given == 0 ? standard : given;
}

// Batches are small enough for several to be under way in the room that there is.
std::size_t batch_bytes(const WriterOptions& options, std::size_t advised) {
  const std::size_t share = either(options.max_buffered_bytes, kBufferedBytes) / 4;
  const std::size_t wanted = std::min(either(options.max_batch_bytes, kBatchBytes), share);
  return std::max(kMinBatchBytes, std::min(wanted, either(advised, kBatchBytes)));
}

// How many of these values fit a row.
std::size_t row_length(const Value* values, std::size_t count) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) {
    bytes += values[i].first.size() + 32;
    if (i > 0 && bytes > kRowBytes) return i;
  }
  return count;
}

void check(const char* field, const Texts& texts) {
  for (const auto& [key, value] : texts) {
    if (key.empty() || !is_utf8(key) || !is_utf8(value)) {
      throw invalid(field, "keys are not empty, keys and values are UTF-8");
    }
    if (key.size() + value.size() > kTextBytes) throw invalid(field, "'" + key + "' is too long");
  }
}

}  // namespace

BatchQueue::BatchQueue(WriterOptions options)
    : writer_id(random_hex(16)),
      options_(std::move(options)),
      max_buffered_bytes_(either(options_.max_buffered_bytes, kBufferedBytes)),
      max_batch_bytes_(batch_bytes(options_, 0)),
      on_cancel_(options_.cancellation, [this] {
        cancelled_ = true;
        const std::lock_guard guard(lock_);
        progress_.notify_all();
      }) {}

void BatchQueue::add(const Value* values, std::size_t count, std::int64_t step,
                     std::int64_t time_micros) {
  constexpr std::size_t kSurelyOneRow = 64;
  Guard guard(lock_);
  while (count > 0) {
    const std::size_t length = count <= kSurelyOneRow ? count : row_length(values, count);
    add_row(guard, values, length, step, time_micros);
    values += length;
    count -= length;
  }
}

void BatchQueue::add_row(Guard& guard, const Value* values, std::size_t count, std::int64_t step,
                         std::int64_t time_micros) {
  Shape& shape = shapes_.find(values, count);
  refuse_if_ended();
  const std::size_t cost = OpenBatch::cost(shape);
  // Others log while this one waits, and may make shapes_ forget it.
  const auto kept = has_room(cost) ? nullptr : shape.shared_from_this();
  if (!make_room(guard, cost)) return drop(static_cast<std::int64_t>(count));
  const std::size_t bytes = open_.batch().bytes;
  if (bytes > 0 && bytes + OpenBatch::cost(shape) > max_batch_bytes_) seal();
  if (open_.batch().is_empty()) begun();
  open_.add(shape, values, step, time_micros);
}

void BatchQueue::add_params(const Texts& params) {
  check("params", params);
  Guard guard(lock_);
  for (const auto& [key, value] : params) {
    refuse_if_ended();
    if (!make_room(guard, OpenBatch::cost(key, value))) {
      drop(1);
      continue;
    }
    if (!open_.fits_param(key, value) || open_.batch().bytes > max_batch_bytes_ / 2) seal();
    if (open_.batch().is_empty()) begun();
    open_.add_param(key, value);
  }
}

void BatchQueue::add_tags(const Texts& tags) {
  check("tags", tags);
  Guard guard(lock_);
  for (const auto& [key, value] : tags) {
    refuse_if_ended();
    if (!make_room(guard, OpenBatch::cost(key, value))) {
      drop(1);
      continue;
    }
    if (open_.batch().bytes > max_batch_bytes_ / 2) seal();
    if (open_.batch().is_empty()) begun();
    open_.add_tag(key, value);
  }
}

void BatchQueue::refuse_if_ended() const {
  if (ended_) throw Error(Code::kFailedPrecondition, "the writer is closed");
}

// What is greater than all the room there is goes alone.
bool BatchQueue::has_room(std::size_t bytes) const {
  const std::size_t used = sealed_bytes_ + open_.batch().bytes;
  return used == 0 || used + bytes <= max_buffered_bytes_;
}

// False: it is to be dropped.
bool BatchQueue::make_room(Guard& guard, std::size_t bytes) {
  if (error_) return false;
  if (has_room(bytes)) return true;
  if (options_.when_full == WhenFull::kDrop) return false;
  wait_for_room(guard, bytes);
  return !error_;
}

void BatchQueue::wait_for_room(Guard& guard, std::size_t bytes) {
  const auto is_settled = [&] { return error_ || has_room(bytes); };
  const auto may_go = [&] { return is_settled() || ended_ || cancelled_; };
  if (!options_.block_timeout) {
    progress_.wait(guard, may_go);
  } else if (!progress_.wait_for(guard, bounded(*options_.block_timeout), may_go)) {
    throw Error(Code::kDeadlineExceeded, "no room for more points came up in time");
  }
  if (is_settled()) return;
  refuse_if_ended();
  throw Error(Code::kCancelled, "waiting for room was cancelled");
}

void BatchQueue::drop(std::int64_t points) {
  dropped_ += points;
  if (!options_.on_dropped || std::exchange(drop_is_posted_, true)) return;
  notifier_.post([this] {
    std::int64_t more = 0;
    {
      const std::lock_guard guard(lock_);
      drop_is_posted_ = false;
      more = dropped_ - std::exchange(dropped_told_, dropped_);
    }
    options_.on_dropped(more);
  });
}

void BatchQueue::begun() {
  open_since_ = Steady::now();
  changed_.notify_one();
}

void BatchQueue::seal() {
  sealed_bytes_ += open_.batch().bytes;
  sealed_.push_back(open_.seal(++sequence_));
  changed_.notify_one();
}

void BatchQueue::flush(std::chrono::milliseconds timeout) {
  Guard guard(lock_);
  if (!open_.batch().is_empty()) seal();
  const auto target = sequence_;
  const auto is_settled = [&] { return acknowledged_ >= target || error_; };
  if (!progress_.wait_for(guard, bounded(timeout), is_settled)) {
    throw Error(Code::kDeadlineExceeded, "not everything was acknowledged in time");
  }
  if (error_) throw Error(*error_);
}

WriterStatus BatchQueue::status() const {
  const std::lock_guard guard(lock_);
  return {writer_id, stop_requested_, dropped_, rejections_, error_};
}

bool BatchQueue::end() {
  const std::lock_guard guard(lock_);
  if (std::exchange(ended_, true)) return false;
  changed_.notify_one();
  progress_.notify_all();
  return true;
}

void BatchQueue::close(const std::optional<Error>& error) {
  if (error) fail(guard(), *error);
  notifier_.close();
  const std::lock_guard guard(lock_);
  closed_ = true;
  progress_.notify_all();
}

void BatchQueue::await_close() {
  if (notifier_.is_calling()) return;
  {
    Guard guard(lock_);
    progress_.wait(guard, [&] { return closed_; });
  }
  notifier_.close();
}

std::shared_ptr<Batch> BatchQueue::next(const Guard& guard, std::int64_t sequence,
                                        Steady::time_point now) {
  if (sequence == sequence_ && due(guard, sequence) <= now) seal();
  const auto place = static_cast<std::size_t>(sequence - acknowledged_);
  return place < sealed_.size() ? sealed_[place] : nullptr;
}

Steady::time_point BatchQueue::due(const Guard& /*locked*/, std::int64_t sequence) const {
  if (sequence < sequence_) return Steady::time_point::min();
  return open_.batch().is_empty() ? Steady::time_point::max()
                                  : open_since_ + bounded(options_.flush_interval);
}

std::size_t BatchQueue::bytes_up_to(const Guard& /*locked*/, std::int64_t sequence) const {
  std::size_t bytes = 0;
  for (const auto& batch : sealed_) {
    if (batch->sequence() > sequence) break;
    bytes += batch->bytes;
  }
  return bytes;
}

bool BatchQueue::is_over(const Guard& /*locked*/) const {
  return error_ || (ended_ && sealed_.empty() && open_.batch().is_empty());
}

void BatchQueue::acknowledge(const Guard& /*locked*/, std::int64_t sequence) {
  if (sequence <= acknowledged_) return;
  while (!sealed_.empty() && sealed_.front()->sequence() <= sequence) {
    sealed_bytes_ -= sealed_.front()->bytes;
    sealed_.pop_front();
  }
  acknowledged_ = std::min(sequence, sequence_);
  progress_.notify_all();
  changed_.notify_one();
}

void BatchQueue::reject(const Guard& /*locked*/, const v1::WriteAck& ack) {
  for (const auto& one : ack.rejections()) {
    Rejection made{one.key(), one.points(), one.fault().reason(), one.fault().message()};
    if (options_.on_rejection) notifier_.post([this, made] { options_.on_rejection(made); });
    if (rejections_.size() < kKeptRejections) rejections_.push_back(std::move(made));
  }
}

void BatchQueue::heed(const Guard& /*locked*/, const v1::WriteAdvice& advice) {
  advice_ = advice;
  max_batch_bytes_ = batch_bytes(options_, static_cast<std::size_t>(advice.max_batch_bytes()));
  const bool is_news = advice.stop_requested() && !stop_requested_.exchange(true);
  if (!advice.stop_requested()) stop_requested_ = false;
  if (is_news && options_.on_stop_requested) notifier_.post(options_.on_stop_requested);
}

void BatchQueue::fail(const Guard& /*locked*/, const Error& error) {
  if (error_) return;
  error_ = error;
  if (!open_.batch().is_empty()) seal();
  std::int64_t points = 0;
  for (const auto& batch : sealed_) {
    points += batch->points + batch->message().params_size() + batch->message().tags_size();
  }
  if (points > 0) drop(points);
  sealed_.clear();
  sealed_bytes_ = 0;
  if (options_.on_error) notifier_.post([this, error] { options_.on_error(error); });
  progress_.notify_all();
  changed_.notify_one();
}

void BatchQueue::declare(const Guard& /*locked*/, Batch& batch, std::uint64_t stream,
                         std::vector<bool>& known) {
  batch.request.clear_series();
  known.resize(std::max(known.size(), shapes_.size() + 1));
  for (const auto& name : batch.message().series()) known[name.id()] = true;
  for (const auto& shape : batch.shapes) {
    if (std::exchange(shape->known_on, stream) == stream) continue;
    for (const auto id : shape->ids) {
      if (known[id]) continue;
      known[id] = true;
      v1::SeriesName& name = *batch.request.add_series();
      name.set_id(id);
      name.set_key(shapes_.name(id));
    }
  }
}

}  // namespace runwire
