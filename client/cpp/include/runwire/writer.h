/// @file
/// What a training job logs, streamed to a run.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runwire/call.h"
#include "runwire/error.h"
#include "runwire/runs.h"

namespace runwire {

class Caller;

/// What log(), log_params() and log_tags() do when there is no room for what was not acknowledged
/// yet.
enum class WhenFull {
  kBlock,  ///< Wait until there is.
  kDrop,   ///< Drop these points, params or tags, and count them.
};

/// How a writer goes about it. Callbacks run one at a time in a thread of the writer's own, and may
/// take their time; what they throw is ignored.
struct WriterOptions {
  /// How long a point may wait for others before it is sent.
  std::chrono::milliseconds flush_interval{200};
  /// Of one batch. 0: what the server likes, 1 MiB.
  std::size_t max_batch_bytes = 0;
  /// Of all that is not acknowledged. 0: 64 MiB.
  std::size_t max_buffered_bytes = 0;
  WhenFull when_full = WhenFull::kBlock;
  /// With kBlock: log() throws kDeadlineExceeded after so long. Unset: it waits.
  std::optional<std::chrono::milliseconds> block_timeout;
  /// With kBlock: ends the waiting of log() with kCancelled.
  std::optional<Cancellation> cancellation;
  /// Somebody asked the run to stop. Once.
  std::function<void()> on_stop_requested;
  /// The server did not take an entry.
  std::function<void(const Rejection&)> on_rejection;
  /// So many points more were dropped.
  std::function<void(std::int64_t)> on_dropped;
  /// The writer has given up: the run is gone or over, or the server does not let it write. Once.
  std::function<void(const Error&)> on_error;
};

/// How it stands with a writer.
struct WriterStatus {
  std::string writer_id;
  bool stop_requested = false;
  /// For want of room, or because the writer had given up; a param or a tag counts as one.
  std::int64_t dropped_points = 0;
  std::vector<Rejection> rejections;  ///< The first 1,000.
  std::optional<Error> error;         ///< Why it has given up.
};

/// Logs to one run, in the background: log() does no network I/O and takes well below a
/// microsecond for a few keys. A server that is away is waited for, as long as this process lives;
/// what was not acknowledged stays in memory, and everything arrives once. Safe for threads. Made
/// by `Client::writer`; the client need not outlive it.
class Writer {
 public:
  /// A value of a metric.
  using Value = std::pair<std::string_view, double>;
  using Clock = std::chrono::system_clock;

  Writer(std::shared_ptr<Caller> caller, const std::string& run_id, const WriterOptions& options);
  /// close(), waiting up to 30 s. What could not be sent in this time is lost, and told to
  /// `on_error`.
  ~Writer();
  Writer(Writer&&) noexcept;
  Writer& operator=(Writer&&) noexcept;

  /// Values of one step: `log({{"loss", 0.1}, {"accuracy", 0.9}}, step)`. Calls with the same keys
  /// in the same order are the quickest. Throws `Error` for a key that can never be right
  /// (kInvalidArgument) and as `WriterOptions` say; not because of the server: what was logged
  /// after the writer has given up is counted as dropped, and flush() and close() tell.
  void log(std::initializer_list<Value> values, std::int64_t step) {
    log(values.begin(), values.size(), step, now_micros());
  }
  void log(std::initializer_list<Value> values, std::int64_t step, Clock::time_point time) {
    log(values.begin(), values.size(), step, micros(time));
  }
  /// The same of any map of text to numbers.
  template <class Map>
  void log(const Map& values, std::int64_t step) {
    log_map(values, step, now_micros());
  }
  template <class Map>
  void log(const Map& values, std::int64_t step, Clock::time_point time) {
    log_map(values, step, micros(time));
  }
  /// One value.
  void log_metric(std::string_view key, double value, std::int64_t step) {
    const Value one(key, value);
    log(&one, 1, step, now_micros());
  }
  void log_metric(std::string_view key, double value, std::int64_t step, Clock::time_point time) {
    const Value one(key, value);
    log(&one, 1, step, micros(time));
  }

  /// Write-once: another value for a key is rejected.
  void log_params(const Texts& params);
  /// The last value holds.
  void log_tags(const Texts& tags);

  /// Waits until everything that was logged before is acknowledged: durable, and seen by readers.
  /// Throws `Error`: kDeadlineExceeded, or why the writer has given up.
  void flush(std::chrono::milliseconds timeout = std::chrono::seconds(30));
  /// flush(), and ends it. What could not be sent in this time is given up, and told as by flush().
  void close(std::chrono::milliseconds timeout = std::chrono::seconds(30));

  WriterStatus status() const;
  /// Quick enough for every step of a loop.
  bool stop_requested() const;

 private:
  static constexpr std::size_t kFewValues = 16;

  static std::int64_t micros(Clock::time_point time) {
    using std::chrono::microseconds;
    return std::chrono::duration_cast<microseconds>(time.time_since_epoch()).count();
  }
  static std::int64_t now_micros() { return micros(Clock::now()); }

  template <class Map>
  void log_map(const Map& values, std::int64_t step, std::int64_t time_micros) {
    std::array<Value, kFewValues> few;
    std::vector<Value> many;
    Value* place = few.data();
    if (values.size() > kFewValues) {
      many.resize(values.size());
      place = many.data();
    }
    std::size_t count = 0;
    for (const auto& [key, value] : values) place[count++] = {key, static_cast<double>(value)};
    log(place, count, step, time_micros);
  }
  void log(const Value* values, std::size_t count, std::int64_t step, std::int64_t time_micros);

  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace runwire
