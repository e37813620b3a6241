// What was logged and is not acknowledged yet: between the threads that log and the one that sends.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cancellation.h"
#include "notifier.h"
#include "open_batch.h"
#include "retry.h"
#include "runwire/writer.h"

namespace runwire {

class BatchQueue {
 public:
  explicit BatchQueue(WriterOptions options);

  // Those that log ------------------------------------------------------------

  void add(const Value* values, std::size_t count, std::int64_t step, std::int64_t time_micros);
  void add_params(const Texts& params);
  void add_tags(const Texts& tags);
  // Seals what there is, and waits until it is acknowledged. Throws Error.
  void flush(std::chrono::milliseconds timeout);
  WriterStatus status() const;
  bool stop_requested() const { return stop_requested_; }

  // Nothing is taken any more; what is left is sent. False: that was so before.
  bool end();
  // Gives up what is left, for this reason. No callback runs after it, but those that were posted
  // where a callback closes.
  void close(const std::optional<Error>& error);
  // Waits until another thread, or a callback, has closed it. In a callback: not at all.
  void await_close();

  // The one that sends; those with a Guard are called locked ----------------------

  using Guard = std::unique_lock<std::mutex>;
  Guard guard() { return Guard(lock_); }
  std::condition_variable& changed() { return changed_; }

  // The batch after this sequence; the open one is sealed where it has waited long enough.
  std::shared_ptr<Batch> next(const Guard&, std::int64_t sequence, Steady::time_point now);
  // When the batch after this sequence is to go: one that is sealed, at once; the open one, when it
  // has waited long enough; max() where there is none.
  Steady::time_point due(const Guard&, std::int64_t sequence) const;
  std::int64_t acknowledged(const Guard&) const { return acknowledged_; }
  // Bytes of the batches up to this sequence that are not acknowledged.
  std::size_t bytes_up_to(const Guard&, std::int64_t sequence) const;
  // Nothing will come any more, and everything was acknowledged or given up.
  bool is_over(const Guard&) const;
  bool is_ended(const Guard&) const { return ended_; }
  const v1::WriteAdvice& advice(const Guard&) const { return advice_; }

  void acknowledge(const Guard&, std::int64_t sequence);
  void reject(const Guard&, const v1::WriteAck& ack);
  void heed(const Guard&, const v1::WriteAdvice& advice);
  // Ends it: this will never go.
  void fail(const Guard&, const Error& error);
  // A number for a stream, or a call, on which names are declared anew.
  std::uint64_t new_stream(const Guard&) { return ++streams_; }
  // Sets the names that the batch needs and that were not declared on this stream, beside it.
  void declare(const Guard&, Batch& batch, std::uint64_t stream, std::vector<bool>& known);

  const std::string writer_id;

 private:
  void add_row(Guard& guard, const Value* values, std::size_t count, std::int64_t step,
               std::int64_t time_micros);
  bool has_room(std::size_t bytes) const;
  bool make_room(Guard& guard, std::size_t bytes);
  void wait_for_room(Guard& guard, std::size_t bytes);
  void refuse_if_ended() const;
  void drop(std::int64_t points);
  void begun();
  void seal();

  const WriterOptions options_;
  const std::size_t max_buffered_bytes_;
  mutable std::mutex lock_;
  std::condition_variable changed_;   // for the one that sends
  std::condition_variable progress_;  // for those that log
  Shapes shapes_;
  OpenBatch open_;
  Steady::time_point open_since_{};
  std::size_t max_batch_bytes_;
  std::deque<std::shared_ptr<Batch>> sealed_;
  std::size_t sealed_bytes_ = 0;
  std::uint64_t streams_ = 0;
  std::int64_t sequence_ = 0;
  std::int64_t acknowledged_ = 0;
  v1::WriteAdvice advice_;
  bool ended_ = false;
  bool closed_ = false;
  std::optional<Error> error_;
  std::int64_t dropped_ = 0;
  std::int64_t dropped_told_ = 0;
  bool drop_is_posted_ = false;
  std::vector<Rejection> rejections_;
  std::atomic<bool> stop_requested_{false};
  std::atomic<bool> cancelled_{false};
  Notifier notifier_;
  OnCancel on_cancel_;
};

}  // namespace runwire
