#include "notifier.h"

#include <utility>

namespace runwire {

Notifier::~Notifier() {
  close();
  const std::lock_guard guard(state_->lock);
  if (state_->thread.joinable()) state_->thread.detach();  // this is one of its calls
}

// A call that closes leaves the thread to whoever destroys this: the calls after it use what may be
// destroyed with this.
void Notifier::close() {
  std::thread thread;
  {
    const std::lock_guard guard(state_->lock);
    state_->closed = true;
    state_->changed.notify_all();
    if (state_->worker == std::this_thread::get_id()) return;
    thread = std::move(state_->thread);
  }
  if (thread.joinable()) thread.join();
}

bool Notifier::is_calling() const {
  const std::lock_guard guard(state_->lock);
  return state_->worker == std::this_thread::get_id();
}

void Notifier::post(std::function<void()> call) {
  const std::lock_guard guard(state_->lock);
  if (state_->closed) return;
  state_->calls.push_back(std::move(call));
  state_->changed.notify_all();
  if (state_->thread.joinable()) return;
  state_->thread = std::thread(work, state_);
  state_->worker = state_->thread.get_id();
}

void Notifier::work(const std::shared_ptr<State>& state) {
  std::unique_lock guard(state->lock);
  while (true) {
    state->changed.wait(guard, [&] { return state->closed || !state->calls.empty(); });
    if (state->calls.empty()) break;
    auto call = std::move(state->calls.front());
    state->calls.pop_front();
    guard.unlock();
    try {
      // Gone before the lock is taken again: it may hold the last of what owns this.
      std::exchange(call, nullptr)();
    } catch (...) {  // NOLINT: the callback's own fault must not end what serves it
    }
    guard.lock();
  }
  state->worker = {};  // the next thread of the process may have this id
}

}  // namespace runwire
