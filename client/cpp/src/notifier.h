// Calls a user's functions off the threads that do the work.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace runwire {

// One thread, which begins with the first call; one call at a time, in their order. What they throw
// is ignored.
class Notifier {
 public:
  Notifier() = default;
  ~Notifier();
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  void post(std::function<void()> call);

  // What was posted before is called still, and waited for where this is not one of these calls.
  void close();

  // Whether this is one of the calls.
  bool is_calling() const;

 private:
  struct State {
    std::mutex lock;
    std::condition_variable changed;
    std::deque<std::function<void()>> calls;
    std::thread thread;
    // Of that thread while it runs: close() takes the object away before the thread ends.
    std::thread::id worker;
    bool closed = false;
  };

  static void work(const std::shared_ptr<State>& state);

  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace runwire
