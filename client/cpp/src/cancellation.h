// What a Cancellation does to those who wait.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>

#include "runwire/call.h"

namespace runwire {

struct Cancellation::State {
  std::mutex lock;
  std::condition_variable cancelled_now;
  bool cancelled = false;
  std::map<const void*, std::function<void()>> callbacks;
};

// While it lives, cancelling calls `callback`, which must not wait for anything; at once where it
// was cancelled before. Once it is gone the callback is not running any more.
class OnCancel {
 public:
  OnCancel(const std::optional<Cancellation>& cancellation, std::function<void()> callback);
  ~OnCancel();
  OnCancel(const OnCancel&) = delete;
  OnCancel& operator=(const OnCancel&) = delete;

 private:
  std::shared_ptr<Cancellation::State> state_;
};

// False: it was cancelled before the time was over.
bool sleep(std::chrono::nanoseconds time, const std::optional<Cancellation>& cancellation);

}  // namespace runwire
