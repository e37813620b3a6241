// A server in this process that stores batches, and fails as it is told to.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runwire/v1/artifact_service.grpc.pb.h"
#include "runwire/v1/metric_service.grpc.pb.h"
#include "runwire/v1/registry_service.grpc.pb.h"
#include "runwire/v1/run_service.grpc.pb.h"

namespace v1 = runwire::v1;

// An error with the details that a real server sends.
grpc::Status failure(grpc::StatusCode code, const std::string& reason, int retry_after_ms = -1);

struct StoredPoint {
  std::string key;
  std::int64_t step;
  double value;
};

// Batches of one writer, applied once each, as the real server does it.
class FakeMetrics final : public v1::MetricService::Service {
 public:
  // What becomes of the n-th stream, from 1: whether it is refused with this.
  std::function<grpc::Status(int stream)> refuse_stream = [](int) { return grpc::Status::OK; };
  // The n-th stream is cut after so many batches, the last one stored and not acknowledged.
  std::function<int(int stream)> cut_after = [](int) { return 1 << 30; };
  // The n-th stream is told to close after so many batches.
  std::function<int(int stream)> close_after = [](int) { return 1 << 30; };
  // Whether the n-th stream acknowledges what it stores.
  std::function<bool(int stream)> acknowledges = [](int) { return true; };
  // How many of the batches that are stored the n-th stream does not know of when it opens.
  std::function<std::int64_t(int stream)> overlooks = [](int) { return 0; };
  std::function<grpc::Status()> refuse_batch = [] { return grpc::Status::OK; };
  v1::WriteAdvice advice;
  std::string rejected_key;

  std::vector<StoredPoint> points() const;
  std::map<std::string, std::string> params() const;
  int streams() const { return streams_; }
  int calls() const { return calls_; }
  int largest_batch() const { return largest_batch_; }
  // Holds back every acknowledgement while set.
  void hold(bool held);

 private:
  using Stream = grpc::ServerReaderWriter<v1::StreamBatchesResponse, v1::StreamBatchesRequest>;

  grpc::Status StreamBatches(grpc::ServerContext* context, Stream* stream) override;
  grpc::Status LogBatch(grpc::ServerContext* context, const v1::LogBatchRequest* request,
                        v1::LogBatchResponse* response) override;

  void declare(std::map<std::uint32_t, std::string>& names,
               const google::protobuf::RepeatedPtrField<v1::SeriesName>& series);
  grpc::Status store(const v1::MetricBatch& batch,
                     const std::map<std::uint32_t, std::string>& names, v1::WriteAck& ack);
  void wait_while_held(grpc::ServerContext& context);

  mutable std::mutex lock_;
  std::condition_variable changed_;
  bool held_ = false;
  std::int64_t committed_ = 0;
  std::vector<StoredPoint> points_;
  std::map<std::string, std::string> params_;
  std::atomic<int> streams_{0};
  std::atomic<int> calls_{0};
  std::atomic<int> largest_batch_{0};
};

// Answers GetRun as it is told.
class FakeRuns final : public v1::RunService::Service {
 public:
  std::function<grpc::Status(int call, grpc::ServerContext&)> answer =
      [](int, grpc::ServerContext&) { return grpc::Status::OK; };
  int calls() const { return calls_; }

 private:
  grpc::Status GetRun(grpc::ServerContext* context, const v1::GetRunRequest* request,
                      v1::GetRunResponse* response) override;
  grpc::Status SearchRuns(grpc::ServerContext* context, const v1::SearchRunsRequest* request,
                          v1::SearchRunsResponse* response) override;

  std::atomic<int> calls_{0};
};

// One model with one alias.
class FakeRegistry final : public v1::RegistryService::Service {
 public:
  void set_version(std::int64_t version);
  void cut();

 private:
  grpc::Status ResolveModels(grpc::ServerContext* context, const v1::ResolveModelsRequest* request,
                             v1::ResolveModelsResponse* response) override;
  grpc::Status WatchModels(grpc::ServerContext* context, const v1::WatchModelsRequest* request,
                           grpc::ServerWriter<v1::WatchModelsResponse>* writer) override;

  std::mutex lock_;
  std::condition_variable changed_;
  std::int64_t version_ = 0;
  std::int64_t revision_ = 1;
  int cuts_ = 0;
};

// Takes one upload of one blob at a time, and knows of none.
class FakeArtifacts final : public v1::ArtifactService::Service {
 public:
  // What it says when an upload begins.
  std::int32_t chunk_bytes = 64 << 10;
  std::int64_t committed_size = 0;

  const std::string& data() const { return data_; }
  const std::vector<std::size_t>& chunks() const { return chunks_; }

 private:
  using Stream = grpc::ServerReaderWriter<v1::UploadBlobResponse, v1::UploadBlobRequest>;

  grpc::Status FindMissingBlobs(grpc::ServerContext* context,
                                const v1::FindMissingBlobsRequest* request,
                                v1::FindMissingBlobsResponse* response) override;
  grpc::Status UploadBlob(grpc::ServerContext* context, Stream* stream) override;
  grpc::Status CommitArtifacts(grpc::ServerContext* context,
                               grpc::ServerReader<v1::CommitArtifactsRequest>* reader,
                               v1::CommitArtifactsResponse* response) override;

  std::string data_;
  std::vector<std::size_t> chunks_;
};

class FakeServer {
 public:
  FakeServer();
  ~FakeServer() { stop(); }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  std::string uri() const { return "grpc://127.0.0.1:" + std::to_string(port_); }
  void stop();

  FakeMetrics metrics;
  FakeRuns runs;
  FakeRegistry registry;
  FakeArtifacts artifacts;

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};
