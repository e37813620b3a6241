#include "retry.h"

#include <algorithm>
#include <random>

#include "cancellation.h"

namespace runwire {

namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr int kAttempts = 5;
constexpr milliseconds kFirstDelay{200};
constexpr milliseconds kMostDelay{2000};
// What a server may ask for with RetryInfo, all attempts together.
constexpr milliseconds kPatience{10'000};

}  // namespace

nanoseconds jitter(nanoseconds ceiling) {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return nanoseconds(std::uniform_int_distribution<std::int64_t>(0, ceiling.count())(random));
}

nanoseconds doubled(nanoseconds first, int failures, nanoseconds most) {
  return std::min(most, first * (std::int64_t{1} << std::clamp(failures - 1, 0, 20)));
}

bool is_passing(const Error& error) {
  if (error.code() == Code::kResourceExhausted) return error.retry_after().has_value();
  return error.code() == Code::kUnavailable && error.reason() != "STORAGE_UNAVAILABLE";
}

bool Retry::wait(const Error& error, const std::optional<Cancellation>& cancellation) {
  if (!is_passing(error) || ++failures_ >= kAttempts) return false;
  const nanoseconds half = doubled(kFirstDelay, failures_, kMostDelay) / 2;
  const nanoseconds delay = error.retry_after().value_or(nanoseconds{0}) + half + jitter(half);
  waited_ += delay;
  if (waited_ > kPatience) return false;
  if (deadline_ && Steady::now() + delay >= *deadline_) return false;
  return sleep(delay, cancellation);
}

}  // namespace runwire
