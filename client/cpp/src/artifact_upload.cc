#include "artifact_upload.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "artifact_chunk.h"
#include "bounded.h"
#include "patience.h"
#include "status.h"
#include "text.h"

namespace runwire {

namespace {

using Service = v1::ArtifactService;
using Stream = grpc::ClientReaderWriter<v1::UploadBlobRequest, v1::UploadBlobResponse>;

// Blobs up to here go in one message.
constexpr std::int64_t kSmallBytes = 256 << 10;
// Of a chunk: where the server does not say, and whatever it says.
constexpr std::int64_t kChunkBytes = 256 << 10;
constexpr std::int64_t kMostChunkBytes = 2 << 20;

CallOptions call_options(const TransferOptions& options) {
  return {{}, options.cancellation};
}

bool is_missing(Caller& caller, const v1::Blob& blob, const TransferOptions& options) {
  v1::FindMissingBlobsRequest request;
  request.set_workspace(caller.settings().workspace);
  *request.add_blobs() = blob;
  const auto answer = caller.unary<Service>("FindMissingBlobs", &Service::Stub::FindMissingBlobs,
                                            request, call_options(options));
  return answer.missing_size() > 0;
}

void put(Caller& caller, Source& source, const TransferOptions& options) {
  v1::BatchPutBlobsRequest request;
  request.set_workspace(caller.settings().workspace);
  auto& item = *request.add_items();
  *item.mutable_blob() = source.blob();
  item.set_data(source.read(0, static_cast<std::size_t>(source.blob().size_bytes())));
  const auto answer = caller.unary<Service>("BatchPutBlobs", &Service::Stub::BatchPutBlobs, request,
                                            call_options(options));
  for (const auto& result : answer.results()) {
    if (result.has_fault()) throw error_of(result.fault());
  }
}

// One call of UploadBlob: the caller's thread writes, another one reads how far the server is.
class BlobUpload {
 public:
  BlobUpload(Caller& caller, Source& source, const TransferOptions& options, std::string& upload_id)
      : caller_(caller), source_(source), options_(options), upload_id_(upload_id) {}
  ~BlobUpload() {
    context_.TryCancel();  // where it was left early
    if (reader_.joinable()) reader_.join();
  }
  BlobUpload(const BlobUpload&) = delete;
  BlobUpload& operator=(const BlobUpload&) = delete;

  // Throws Error for whatever ended it before the blob was stored.
  void run() {
    caller_.add_metadata(context_);
    const OnCancel on_cancel(options_.cancellation, [this] { context_.TryCancel(); });
    stream_ = caller_.stub<Service>({{}, options_.cancellation}).UploadBlob(&context_);
    if (open()) {
      reader_ = std::thread([this] { listen(); });
      write_all();
      reader_.join();
    }
    caller_.check(stream_->Finish());
    if (!stored_) throw Error(Code::kUnavailable, "the server ended an upload");
    tell(source_.blob().size_bytes());
  }

 private:
  // False: there is nothing to send.
  bool open() {
    v1::UploadBlobRequest request;
    request.mutable_open()->set_workspace(caller_.settings().workspace);
    request.mutable_open()->set_upload_id(upload_id_);
    *request.mutable_open()->mutable_blob() = source_.blob();
    v1::UploadBlobResponse response;
    if (!stream_->Write(request) || !stream_->Read(&response)) return false;
    stored_ = response.has_stored();
    if (!response.has_opened()) return false;
    opened_ = response.opened();
    check_opened();
    upload_id_ = opened_.upload_id();
    durable_ = opened_.committed_size();
    tell(durable_);
    return true;
  }

  void check_opened() const {
    const std::int64_t size = source_.blob().size_bytes();
    const std::int64_t committed = opened_.committed_size();
    if (committed >= 0 && committed <= size) return;
    throw Error(Code::kInternal, "the server asks for byte " + std::to_string(committed) +
                                     " of a blob of " + std::to_string(size));
  }

  std::int64_t chunk_bytes() const {
    const std::int64_t asked = opened_.chunk_bytes();
    return asked > 0 ? std::min(asked, kMostChunkBytes) : kChunkBytes;
  }

  void write_all() {
    const std::int64_t size = source_.blob().size_bytes();
    for (std::int64_t at = opened_.committed_size(); at < size && !stored_;) {
      v1::UploadBlobRequest request;
      const auto length = std::min(chunk_bytes(), size - at);
      fill(*request.mutable_chunk(), at, source_.read(at, static_cast<std::size_t>(length)));
      if (!stream_->Write(request)) return;
      at += length;
      tell(durable_);
    }
    v1::UploadBlobRequest request;
    *request.mutable_finish()->mutable_blob() = source_.blob();
    if (!stored_ && stream_->Write(request)) stream_->WritesDone();
  }

  void listen() {
    for (v1::UploadBlobResponse response; stream_->Read(&response);) {
      if (response.has_progress()) durable_ = response.progress().committed_size();
      if (response.has_stored()) stored_ = true;
    }
  }

  void tell(std::int64_t durable) {
    if (durable <= told_) return;
    told_ = durable;
    if (options_.progress) options_.progress(durable, source_.blob().size_bytes());
  }

  Caller& caller_;
  Source& source_;
  const TransferOptions& options_;
  std::string& upload_id_;
  grpc::ClientContext context_;
  std::unique_ptr<Stream> stream_;
  v1::UploadBlobResponse::Opened opened_;
  std::atomic<std::int64_t> durable_{0};
  std::atomic<bool> stored_{false};
  std::int64_t told_ = 0;
  std::thread reader_;
};

// Through cuts, from the byte that the server has acknowledged.
void stream(Caller& caller, Source& source, const TransferOptions& options) {
  std::string upload_id;
  std::int64_t told = 0;
  Patience patience(options.cancellation);
  TransferOptions watched = options;
  watched.progress = [&](std::int64_t done, std::int64_t total) {
    if (done <= told) return;
    told = done;
    patience.progress();
    if (options.progress) options.progress(done, total);
  };
  while (true) {
    try {
      return BlobUpload(caller, source, watched, upload_id).run();
    } catch (const Error& error) {
      // The server may have forgotten the upload: once more from the start.
      const bool is_forgotten = error.code() == Code::kNotFound && !upload_id.empty();
      if (is_forgotten) upload_id.clear();
      patience.wait(error, is_forgotten);
    }
  }
}

google::protobuf::Timestamp timestamp(std::filesystem::file_time_type time) {
  // C++17 does not say where the clock of files begins: go by the distance to now.
  using std::chrono::system_clock;
  const auto age = std::filesystem::file_time_type::clock::now() - time;
  const auto at = system_clock::now() - std::chrono::duration_cast<system_clock::duration>(age);
  const auto micros =
      std::chrono::duration_cast<std::chrono::microseconds>(at.time_since_epoch()).count();
  google::protobuf::Timestamp made;
  made.set_seconds(micros / 1'000'000);
  made.set_nanos(static_cast<std::int32_t>(micros % 1'000'000) * 1000);
  return made;
}

v1::CommitArtifactsRequest commit_request(const std::string& run_id, const std::string& path,
                                          const Source& source, const TransferOptions& options) {
  v1::CommitArtifactsRequest request;
  request.mutable_owner()->set_run_id(run_id);
  request.set_request_id(random_hex(16));
  v1::Artifact& artifact = *request.add_artifacts();
  artifact.set_path(path);
  *artifact.mutable_blob() = source.blob();
  artifact.set_media_type(options.media_type);
  if (source.modify_time) *artifact.mutable_modify_time() = timestamp(*source.modify_time);
  return request;
}

void commit_once(Caller& caller, const v1::CommitArtifactsRequest& request,
                 const TransferOptions& options) {
  grpc::ClientContext context;
  caller.add_metadata(context);
  context.set_deadline(std::chrono::system_clock::now() + bounded(caller.settings().timeout));
  const OnCancel on_cancel(options.cancellation, [&] { context.TryCancel(); });
  v1::CommitArtifactsResponse response;
  const auto writer =
      caller.stub<Service>({{}, options.cancellation}).CommitArtifacts(&context, &response);
  writer->Write(request);
  writer->WritesDone();
  caller.check(writer->Finish());
}

}  // namespace

void send(Caller& caller, Source& source, const TransferOptions& options) {
  const std::int64_t size = source.blob().size_bytes();
  if (options.progress) options.progress(0, size);
  if (is_missing(caller, source.blob(), options)) {
    if (size > kSmallBytes) return stream(caller, source, options);
    put(caller, source, options);
  }
  if (options.progress && size > 0) options.progress(size, size);
}

// A repeat of the same request leads to the same tree.
void commit(Caller& caller, const std::string& run_id, const std::string& path,
            const Source& source, const TransferOptions& options) {
  const auto request = commit_request(run_id, path, source, options);
  Patience patience(options.cancellation);
  while (true) {
    try {
      return commit_once(caller, request, options);
    } catch (const Error& error) {
      patience.wait(error);
    }
  }
}

}  // namespace runwire
