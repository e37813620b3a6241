#include "runwire/call.h"

#include <thread>
#include <utility>

#include "cancellation.h"

namespace runwire {

Cancellation::Cancellation() : state_(std::make_shared<State>()) {}

void Cancellation::cancel() const {
  const std::lock_guard guard(state_->lock);
  if (std::exchange(state_->cancelled, true)) return;
  for (const auto& [owner, callback] : state_->callbacks) callback();
  state_->cancelled_now.notify_all();
}

bool Cancellation::is_cancelled() const {
  const std::lock_guard guard(state_->lock);
  return state_->cancelled;
}

OnCancel::OnCancel(const std::optional<Cancellation>& cancellation,
                   std::function<void()> callback) {
  if (!cancellation) return;
  state_ = cancellation->state();
  const std::lock_guard guard(state_->lock);
  if (state_->cancelled) callback();
  state_->callbacks.emplace(this, std::move(callback));
}

OnCancel::~OnCancel() {
  if (!state_) return;
  const std::lock_guard guard(state_->lock);
  state_->callbacks.erase(this);
}

bool sleep(std::chrono::nanoseconds time, const std::optional<Cancellation>& cancellation) {
  if (!cancellation) {
    std::this_thread::sleep_for(time);
    return true;
  }
  const auto& state = cancellation->state();
  std::unique_lock guard(state->lock);
  return !state->cancelled_now.wait_for(guard, time, [&] { return state->cancelled; });
}

}  // namespace runwire
