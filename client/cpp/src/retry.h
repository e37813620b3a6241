// When a call is made again.
#pragma once

#include <chrono>
#include <optional>

#include "runwire/call.h"
#include "runwire/error.h"

namespace runwire {

using Steady = std::chrono::steady_clock;

// Between 0 and `ceiling`: callers that wait do not come back all at once.
std::chrono::nanoseconds jitter(std::chrono::nanoseconds ceiling);

// `first` doubled with every failure after the first one, `most` at most.
std::chrono::nanoseconds doubled(std::chrono::nanoseconds first, int failures,
                                 std::chrono::nanoseconds most);

// Whether the same call may succeed in a moment.
bool is_passing(const Error& error);

// Counts failures in a row and waits between them: what the server asks, and a delay that doubles,
// of which half is left to chance: the other half is time enough for a restart. A server that
// restarts is back within five attempts; one that is away is told within seconds.
class Retry {
 public:
  explicit Retry(std::optional<Steady::time_point> deadline = {}) : deadline_(deadline) {}

  // Waits before another attempt; false, at once, where there is to be none.
  bool wait(const Error& error, const std::optional<Cancellation>& cancellation);

 private:
  std::optional<Steady::time_point> deadline_;
  int failures_ = 0;
  std::chrono::nanoseconds waited_{0};
};

}  // namespace runwire
