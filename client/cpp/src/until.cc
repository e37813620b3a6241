#include "until.h"

#include <algorithm>

#include "runwire/error.h"

namespace runwire {

namespace {

// Within this a cancellation is seen. What is waited for is heard of at once.
constexpr std::chrono::milliseconds kPause{20};

}  // namespace

std::chrono::milliseconds Until::pause() const {
  if (cancellation && cancellation->is_cancelled()) {
    throw Error(Code::kCancelled, "the call was cancelled");
  }
  if (!deadline) return kPause;
  const auto left = *deadline - Steady::now();
  if (left <= Steady::duration::zero()) {
    throw Error(Code::kDeadlineExceeded, "the time of the call was over before it could be made");
  }
  return std::min(kPause, std::chrono::ceil<std::chrono::milliseconds>(left));
}

}  // namespace runwire
