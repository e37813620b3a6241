/// @file
/// Reading metrics.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runwire/call.h"

namespace runwire {

class Caller;

/// The points of one series in columns of one length, ordered by step, then time.
struct Series {
  std::string run_id;
  std::string key;
  std::vector<std::int64_t> steps;
  std::vector<std::int64_t> times_micros;  ///< Unix time in microseconds.
  std::vector<double> values;              ///< Bit for bit as they were written.
};

/// Which points.
struct ReadOptions {
  /// Beginnings of keys, besides the keys.
  std::vector<std::string> key_prefixes;
  /// From this step on.
  std::optional<std::int64_t> from_step;
  /// Up to before this step.
  std::optional<std::int64_t> before_step;
  /// Per series at most; more become those that keep its picture (M4: first, least, greatest, last
  /// of each stretch). 0: every point.
  int max_points = 0;
  /// Ends it early.
  std::optional<Cancellation> cancellation;
};

/// Use `Client::metrics`.
class Metrics {
 public:
  explicit Metrics(std::shared_ptr<Caller> caller) : caller_(std::move(caller)) {}

  /// The series of these keys of these runs, by run as given and then by key; no keys and no
  /// prefixes: all. Sees everything that was acknowledged before. Goes on by itself after a cut;
  /// there is no deadline. Throws `Error`.
  std::vector<Series> read(const std::vector<std::string>& run_ids,
                           const std::vector<std::string>& keys = {},
                           const ReadOptions& options = {}) const;

 private:
  std::shared_ptr<Caller> caller_;
};

}  // namespace runwire
