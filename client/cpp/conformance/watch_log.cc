#include "watch_log.h"

#include <algorithm>

namespace conformance {

void WatchLog::hear(const runwire::ModelChange& change) {
  const std::lock_guard guard(lock_);
  told_.push_back({change.reference, change.now ? std::to_string(change.now->version()) : ""});
  heard_.notify_all();
}

std::vector<Value> WatchLog::wait(const std::string& reference, const std::string& version,
                                  std::chrono::milliseconds timeout) {
  std::unique_lock guard(lock_);
  const auto is_told = [&] {
    return std::any_of(told_.begin(), told_.end(), [&](const Told& one) {
      return one.reference == reference && one.version == version;
    });
  };
  if (!heard_.wait_for(guard, timeout, is_told)) {
    throw runwire::Error(runwire::Code::kDeadlineExceeded, "it was not told");
  }
  std::vector<Value> changes;
  for (const auto& one : told_) {
    changes.push_back(
        value(object({{"reference", value(one.reference)},
                      {"version", one.version.empty() ? null() : value(one.version)}})));
  }
  return changes;
}

}  // namespace conformance
