// The thread that sends what a BatchQueue holds, through every loss of contact.
#pragma once

#include <condition_variable>
#include <memory>
#include <string>
#include <thread>

#include "batch_queue.h"
#include "caller.h"

namespace runwire {

class Delivery {
 public:
  Delivery(std::shared_ptr<Caller> caller, BatchQueue& queue, std::string run_id);
  ~Delivery() { stop(); }
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  // The queue is over, or gives up: ends the thread, the call under way first.
  void stop();

 private:
  void work();
  void deliver();
  void stream();
  void send_one();
  v1::LogBatchRequest request_of(const BatchQueue::Guard& guard, Batch& batch);
  void settle(const Error& error);
  bool is_for_good(const Error& error) const;

  std::shared_ptr<Caller> caller_;
  BatchQueue& queue_;
  const std::string run_id_;
  Cancellation stop_;
  int failures_ = 0;
  Steady::time_point streams_from_{};  // streams are not tried before
  bool is_over_ = false;
  std::condition_variable over_;
  std::thread thread_;
};

}  // namespace runwire
