#include "patience.h"

#include <algorithm>

#include "cancellation.h"
#include "retry.h"

namespace runwire {

namespace {

// So many attempts, and half a minute, without a single byte: longer than a server's restart.
constexpr int kAttempts = 8;
constexpr std::chrono::seconds kPatience{30};
constexpr std::chrono::milliseconds kFirstDelay{200};
constexpr std::chrono::milliseconds kMostDelay{8000};

// A full disk is no passing fault: what was acknowledged waits for the next upload. Two are of the
// transport, or of a call that lost its place: begin again from what is stored.
bool can_resume(const Error& error) {
  if (error.reason() == "OFFSET_GAP" || error.reason() == "CHECKSUM_MISMATCH") return true;
  const bool is_away =
      error.code() == Code::kUnavailable || error.code() == Code::kDeadlineExceeded;
  return is_away && error.reason() != "STORAGE_UNAVAILABLE";
}

}  // namespace

void Patience::wait(const Error& error, bool again) {
  const auto now = Steady::now();
  if (failures_++ == 0) first_at_ = now;
  const bool is_spent = failures_ >= kAttempts && now - first_at_ >= kPatience;
  if (is_spent || !(again || can_resume(error))) throw Error(error);
  const auto asked = error.retry_after().value_or(std::chrono::nanoseconds{0});
  const auto delay =
      std::max<std::chrono::nanoseconds>(asked, doubled(kFirstDelay, failures_, kMostDelay));
  if (!sleep(delay / 2 + jitter(delay / 2), cancellation_)) {
    throw Error(Code::kCancelled, "the transfer was cancelled");
  }
}

}  // namespace runwire
