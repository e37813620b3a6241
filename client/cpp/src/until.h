// How long a call waits for what comes before it: the discovery of its server.
#pragma once

#include <chrono>
#include <optional>

#include "retry.h"
#include "runwire/call.h"

namespace runwire {

struct Until {
  std::optional<Steady::time_point> deadline;
  std::optional<Cancellation> cancellation;

  // For how long to wait before asking this again. Throws Error (kCancelled, kDeadlineExceeded)
  // where the waiting is over.
  std::chrono::milliseconds pause() const;
};

}  // namespace runwire
