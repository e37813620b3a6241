/// @file
/// What can be said of a single call.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

namespace runwire {

/// Ends calls from elsewhere: give a copy to a call and cancel() in another thread; the call
/// then throws `Error` with `Code::kCancelled`. Copies are the same cancellation.
class Cancellation {
 public:
  Cancellation();
  void cancel() const;
  bool is_cancelled() const;

  /// For this library's own parts.
  struct State;
  const std::shared_ptr<State>& state() const { return state_; }

 private:
  std::shared_ptr<State> state_;
};

/// Of one call.
struct CallOptions {
  /// All attempts together. Unset: the client's.
  std::optional<std::chrono::milliseconds> timeout;
  /// Ends it early.
  std::optional<Cancellation> cancellation;
};

}  // namespace runwire
