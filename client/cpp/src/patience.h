// How long a transfer goes on through cuts: as long as it makes progress.
#pragma once

#include <optional>
#include <utility>

#include "retry.h"
#include "runwire/call.h"
#include "runwire/error.h"

namespace runwire {

// Counts failures since the last progress.
class Patience {
 public:
  explicit Patience(std::optional<Cancellation> cancellation)
      : cancellation_(std::move(cancellation)) {}

  void progress() { failures_ = 0; }

  // Waits before another attempt, or throws the error where none would help or there were enough.
  // `again`: the caller knows that another attempt can help.
  void wait(const Error& error, bool again = false);

 private:
  std::optional<Cancellation> cancellation_;
  int failures_ = 0;
  Steady::time_point first_at_{};
};

}  // namespace runwire
