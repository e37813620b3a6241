/// @file
/// Runs: made, found, described and ended.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runwire/call.h"
#include "runwire/error.h"
#include "runwire/pager.h"
#include "runwire/v1/run.pb.h"
#include "runwire/v1/run_service.pb.h"

namespace runwire {

class Caller;

using v1::Run;

/// Text by key: params and tags.
using Texts = std::map<std::string, std::string>;

/// What a new run is to be. All may be empty.
struct NewRun {
  std::string experiment_name;  ///< Made where it does not exist. Empty: by experiment_id.
  std::string experiment_id;    ///< Empty, and no name either: the Default experiment.
  std::string name;             ///< For people.
  std::string description;      ///< For people.
  Texts params;                 ///< What went in; write-once.
  Texts tags;                   ///< Free notes.
  std::string parent_run_id;    ///< The run that this one is a part of.
  std::string run_id;           ///< 32 lower-case hex digits. Empty: a random one.
};

/// Which runs, in which order. See "Filters" in common.proto.
struct RunSearch {
  std::string filter;                       ///< "metrics.loss < 0.1 AND tags.team = 'nlp'"
  std::string order_by;                     ///< "metrics.loss ASC". Empty: the newest first.
  std::vector<std::string> experiment_ids;  ///< Empty: all of the workspace.
  std::vector<std::string> columns;         ///< "params.lr", beside the run's own fields.
  bool full = false;                        ///< With all params, tags and metrics.
  int page_size = 0;                        ///< Runs in one call. 0: 100.
};

/// One point of a metric.
struct Point {
  std::string key;
  double value = 0;
  std::int64_t step = 0;
  /// Unset: now.
  std::optional<std::chrono::system_clock::time_point> time;
};

/// Use `Client::runs`. All throw `Error`.
class Runs {
 public:
  explicit Runs(std::shared_ptr<Caller> caller) : caller_(std::move(caller)) {}

  /// Its id is chosen here, so that an attempt whose answer was lost is never a second run.
  Run create(const NewRun& run, const CallOptions& options = {}) const;
  /// With everything that was acknowledged before.
  Run get(const std::string& run_id, const CallOptions& options = {}) const;
  /// An iterator over all that match.
  Pager<Run> search(const RunSearch& search = {}, const CallOptions& options = {}) const;
  /// Ends it, and closes its writers: `Writer::close` comes first.
  Run finish(const std::string& run_id, Run::State state = Run::STATE_FINISHED,
             const CallOptions& options = {}) const;
  /// Makes it RUNNING again.
  Run resume(const std::string& run_id, const CallOptions& options = {}) const;
  /// Asks its job to stop: writers hear of it.
  Run stop(const std::string& run_id, const std::string& reason = {},
           const CallOptions& options = {}) const;
  /// Into the trash (DeleteRun).
  Run remove(const std::string& run_id, const CallOptions& options = {}) const;
  /// Out of the trash.
  Run restore(const std::string& run_id, const CallOptions& options = {}) const;

  /// Each is stored once, however often the call is repeated; returned are those that were not
  /// taken. For more than some points a second use a `Writer`.
  std::vector<Rejection> log_params(const std::string& run_id, const Texts& params,
                                    const CallOptions& options = {}) const;
  std::vector<Rejection> log_tags(const std::string& run_id, const Texts& tags,
                                  const CallOptions& options = {}) const;
  std::vector<Rejection> log_metrics(const std::string& run_id,
                                     const std::map<std::string, double>& values, std::int64_t step,
                                     const CallOptions& options = {}) const;
  std::vector<Rejection> log_points(const std::string& run_id, const std::vector<Point>& points,
                                    const CallOptions& options = {}) const;

 private:
  std::shared_ptr<Caller> caller_;
};

}  // namespace runwire
