// Times to wait, as callers give them.
#pragma once

#include <algorithm>
#include <chrono>

namespace runwire {

// As long as any program runs, and far from where adding it to a clock's now would overflow:
// milliseconds::max() means for ever.
constexpr std::chrono::milliseconds kForEver = std::chrono::hours(24 * 365 * 10);

// A time to wait that can be added to now, whatever a caller gave.
inline std::chrono::milliseconds bounded(std::chrono::milliseconds time) {
  return std::clamp(time, std::chrono::milliseconds::zero(), kForEver);
}

}  // namespace runwire
