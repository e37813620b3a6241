#include "fake_server.h"

#include <algorithm>
#include <chrono>

namespace {

using Names = std::map<std::uint32_t, std::string>;

// A field of protobuf's wire format with a length; all of ours are short.
std::string field(int number, const std::string& data) {
  return std::string(1, static_cast<char>(number << 3 | 2)) +
         std::string(1, static_cast<char>(data.size())) + data;
}

std::string any(const std::string& type, const std::string& data) {
  return field(3, field(1, "type.googleapis.com/google.rpc." + type) + field(2, data));
}

}  // namespace

grpc::Status failure(grpc::StatusCode code, const std::string& reason, int retry_after_ms) {
  const std::string entry = field(1, "kind") + field(2, "run");
  std::string details =
      field(2, "it failed") +
      any("ErrorInfo", field(1, reason) + field(2, "runwire.v1") + field(3, entry));
  if (retry_after_ms >= 0) {
    std::string nanos = "\x10";
    std::uint64_t left = static_cast<std::uint64_t>(retry_after_ms) * 1'000'000;
    for (; left > 0x7F; left >>= 7) nanos += static_cast<char>(left | 0x80);
    nanos += static_cast<char>(left);
    details += any("RetryInfo", field(1, nanos));
  }
  return {code, "it failed", details};
}

// Metrics --------------------------------------------------------------------------------

std::vector<StoredPoint> FakeMetrics::points() const {
  const std::lock_guard guard(lock_);
  return points_;
}

std::map<std::string, std::string> FakeMetrics::params() const {
  const std::lock_guard guard(lock_);
  return params_;
}

void FakeMetrics::hold(bool held) {
  const std::lock_guard guard(lock_);
  held_ = held;
  changed_.notify_all();
}

void FakeMetrics::wait_while_held(grpc::ServerContext& context) {
  std::unique_lock guard(lock_);
  while (held_ && !context.IsCancelled()) changed_.wait_for(guard, std::chrono::milliseconds(5));
}

grpc::Status FakeMetrics::StreamBatches(grpc::ServerContext* context, Stream* stream) {
  const int number = ++streams_;
  if (auto refused = refuse_stream(number); !refused.ok()) return refused;
  v1::StreamBatchesRequest request;
  if (!stream->Read(&request) || !request.has_open())
    return failure(grpc::INVALID_ARGUMENT, "FIELD_INVALID");
  Names names;
  v1::StreamBatchesResponse response;
  {
    const std::lock_guard guard(lock_);
    response.mutable_opened()->set_committed_sequence(committed_ - overlooks(number));
    *response.mutable_opened()->mutable_advice() = advice;
  }
  stream->Write(response);
  for (int count = 0; stream->Read(&request);) {
    if (!request.has_batch()) continue;
    declare(names, request.series());
    declare(names, request.batch().series());
    v1::StreamBatchesResponse answer;
    const auto stored = store(request.batch(), names, *answer.mutable_ack());
    if (!stored.ok()) return stored;
    if (++count > cut_after(number)) return {grpc::UNAVAILABLE, "cut"};
    wait_while_held(*context);
    if (acknowledges(number)) stream->Write(answer);
    if (count == close_after(number)) {
      answer.mutable_closing()->mutable_grace()->set_seconds(1);
      stream->Write(answer);
    }
  }
  return grpc::Status::OK;
}

grpc::Status FakeMetrics::LogBatch(grpc::ServerContext* /*context*/,
                                   const v1::LogBatchRequest* request,
                                   v1::LogBatchResponse* response) {
  ++calls_;
  *response->mutable_advice() = advice;
  if (!request->has_batch()) return grpc::Status::OK;
  Names names;
  declare(names, request->series());
  declare(names, request->batch().series());
  return store(request->batch(), names, *response->mutable_ack());
}

void FakeMetrics::declare(Names& names,
                          const google::protobuf::RepeatedPtrField<v1::SeriesName>& series) {
  for (const auto& one : series) names[one.id()] = one.key();
}

grpc::Status FakeMetrics::store(const v1::MetricBatch& batch, const Names& names,
                                v1::WriteAck& ack) {
  const std::lock_guard guard(lock_);
  if (auto refused = refuse_batch(); !refused.ok()) return refused;
  if (batch.sequence() > committed_ + 1) return failure(grpc::OUT_OF_RANGE, "SEQUENCE_GAP");
  largest_batch_ = std::max<int>(largest_batch_, static_cast<int>(batch.ByteSizeLong()));
  if (batch.sequence() == committed_ + 1) {
    for (const auto& frame : batch.frames()) {
      for (int row = 0; row < frame.steps_size(); ++row) {
        for (int column = 0; column < frame.series_size(); ++column) {
          const auto name = names.find(frame.series(column));
          if (name == names.end()) return failure(grpc::INVALID_ARGUMENT, "FIELD_INVALID");
          if (name->second == rejected_key) {
            auto& rejection = *ack.add_rejections();
            rejection.set_key(rejected_key);
            rejection.set_points(1);
            rejection.mutable_fault()->set_reason("FIELD_INVALID");
            continue;
          }
          points_.push_back(
              {name->second, frame.steps(row), frame.values(row * frame.series_size() + column)});
        }
      }
    }
    for (const auto& [key, value] : batch.params()) params_.emplace(key, value);
    ++committed_;
  }
  ack.set_committed_sequence(committed_);
  return grpc::Status::OK;
}

// Runs -----------------------------------------------------------------------------------

grpc::Status FakeRuns::GetRun(grpc::ServerContext* context, const v1::GetRunRequest* request,
                              v1::GetRunResponse* response) {
  response->mutable_run()->set_run_id(request->run_id());
  return answer(++calls_, *context);
}

// Seven runs in all.
grpc::Status FakeRuns::SearchRuns(grpc::ServerContext* /*context*/,
                                  const v1::SearchRunsRequest* request,
                                  v1::SearchRunsResponse* response) {
  const int first = request->page_token().empty() ? 0 : std::stoi(request->page_token());
  const int end = std::min(7, first + request->page_size());
  for (int i = first; i < end; ++i) response->add_runs()->set_run_id(std::to_string(i));
  if (end < 7) response->set_next_page_token(std::to_string(end));
  return grpc::Status::OK;
}

// Registry -------------------------------------------------------------------------------

void FakeRegistry::set_version(std::int64_t version) {
  const std::lock_guard guard(lock_);
  version_ = version;
  ++revision_;
  changed_.notify_all();
}

void FakeRegistry::cut() {
  const std::lock_guard guard(lock_);
  ++cuts_;
  changed_.notify_all();
}

grpc::Status FakeRegistry::ResolveModels(grpc::ServerContext* /*context*/,
                                         const v1::ResolveModelsRequest* request,
                                         v1::ResolveModelsResponse* response) {
  const std::lock_guard guard(lock_);
  response->set_revision(revision_);
  for (const auto& reference : request->references()) {
    auto& one = *response->add_resolved();
    one.set_reference(reference);
    if (version_ == 0) {
      one.mutable_fault()->set_reason("NOT_FOUND");
    } else {
      one.mutable_model_version()->set_model("fraud");
      one.mutable_model_version()->set_version(version_);
    }
  }
  return grpc::Status::OK;
}

grpc::Status FakeRegistry::WatchModels(grpc::ServerContext* context,
                                       const v1::WatchModelsRequest* /*request*/,
                                       grpc::ServerWriter<v1::WatchModelsResponse>* writer) {
  std::unique_lock guard(lock_);
  const int cuts = cuts_;
  std::int64_t told = 0;
  while (!context->IsCancelled()) {
    if (cuts != cuts_) return {grpc::UNAVAILABLE, "cut"};
    if (told != revision_) {
      v1::WatchModelsResponse response;
      response.set_revision(revision_);
      if (told == 0) {
        response.mutable_mark();
      } else {
        response.mutable_change()->set_model("fraud");
      }
      told = revision_;
      writer->Write(response);
    }
    changed_.wait_for(guard, std::chrono::milliseconds(5));
  }
  return grpc::Status::OK;
}

// Artifacts ------------------------------------------------------------------------------

grpc::Status FakeArtifacts::FindMissingBlobs(grpc::ServerContext* /*context*/,
                                             const v1::FindMissingBlobsRequest* request,
                                             v1::FindMissingBlobsResponse* response) {
  *response->mutable_missing() = request->blobs();
  return grpc::Status::OK;
}

grpc::Status FakeArtifacts::UploadBlob(grpc::ServerContext* /*context*/, Stream* stream) {
  v1::UploadBlobRequest request;
  if (!stream->Read(&request) || !request.has_open())
    return failure(grpc::INVALID_ARGUMENT, "FIELD_INVALID");
  v1::UploadBlobResponse response;
  response.mutable_opened()->set_upload_id("upload");
  response.mutable_opened()->set_chunk_bytes(chunk_bytes);
  response.mutable_opened()->set_committed_size(committed_size);
  stream->Write(response);
  while (stream->Read(&request) && request.has_chunk()) {
    if (request.chunk().data().empty()) return failure(grpc::INVALID_ARGUMENT, "FIELD_INVALID");
    chunks_.push_back(request.chunk().data().size());
    data_ += request.chunk().data();
  }
  if (!request.has_finish()) return {grpc::UNAVAILABLE, "cut"};
  *response.mutable_stored()->mutable_blob() = request.finish().blob();
  stream->Write(response);
  return grpc::Status::OK;
}

grpc::Status FakeArtifacts::CommitArtifacts(grpc::ServerContext* /*context*/,
                                            grpc::ServerReader<v1::CommitArtifactsRequest>* reader,
                                            v1::CommitArtifactsResponse* /*response*/) {
  v1::CommitArtifactsRequest request;
  while (reader->Read(&request)) {
  }
  return grpc::Status::OK;
}

FakeServer::FakeServer() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(&metrics);
  builder.RegisterService(&runs);
  builder.RegisterService(&registry);
  builder.RegisterService(&artifacts);
  server_ = builder.BuildAndStart();
}

void FakeServer::stop() {
  if (server_) server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}
