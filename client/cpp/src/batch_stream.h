// Batches on one StreamBatches call, several under way at once.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "batch_queue.h"
#include "caller.h"

namespace runwire {

// One call. gRPC's threads bring what the server says, everything else is done in the thread of
// run(); the lock of both is the queue's.
class BatchStream final
    : public grpc::ClientBidiReactor<v1::StreamBatchesRequest, v1::StreamBatchesResponse> {
 public:
  BatchStream(Caller& caller, BatchQueue& queue, const std::string& run_id);

  // Sends what there is, as it comes, until the queue is over, the server wants the call to end or
  // `stop` is cancelled. Throws Error for what else ended it.
  void run(const Cancellation& stop);

  // It came through to the server, whatever ended it.
  bool was_opened() const { return opened_; }

 private:
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  void open(const Cancellation& stop);
  void fail(const Error& error) { failure_ = failure_ ? failure_ : error; }
  bool cancel(BatchQueue::Guard& guard);
  bool let_go(BatchQueue::Guard& guard);
  bool act(BatchQueue::Guard& guard, Steady::time_point now);
  void send(BatchQueue::Guard& guard, std::shared_ptr<Batch> batch, Steady::time_point now);
  void send_heartbeat(BatchQueue::Guard& guard, Steady::time_point now);
  void write(BatchQueue::Guard& guard, const v1::StreamBatchesRequest& request,
             Steady::time_point now);
  void half_close(BatchQueue::Guard& guard);
  bool may_send(const BatchQueue::Guard& guard) const;
  bool is_under_way(const BatchQueue::Guard& guard) const;
  bool is_owed(const BatchQueue::Guard& guard) const;
  Steady::time_point next_time(const BatchQueue::Guard& guard) const;
  void hear(const BatchQueue::Guard& guard);
  void hear_opened(const BatchQueue::Guard& guard, const v1::StreamBatchesResponse::Opened& opened);
  void conclude() const;

  Caller& caller_;
  BatchQueue& queue_;
  std::uint64_t number_;
  grpc::ClientContext context_;
  v1::StreamBatchesRequest open_;
  v1::StreamBatchesRequest heartbeat_;
  v1::StreamBatchesResponse response_;
  std::vector<bool> known_;         // names, by id, that were declared in this call
  std::shared_ptr<Batch> writing_;  // gRPC may read it still
  bool is_writing_ = true;
  bool is_reading_ = true;
  bool is_held_ = true;
  bool is_done_ = false;
  bool opened_ = false;
  bool closing_ = false;
  bool half_closed_ = false;
  bool is_cancelled_ = false;
  std::int64_t sent_ = 0;
  Steady::time_point sent_at_ = Steady::now();
  Steady::time_point heard_at_ = Steady::now();
  grpc::Status status_;
  std::optional<Error> failure_;
};

}  // namespace runwire
