#include "artifact_download.h"

#include <optional>
#include <ostream>

#include "artifact_chunk.h"
#include "patience.h"
#include "sha256.h"

namespace runwire {

namespace {

class Download {
 public:
  Download(Caller& caller, const ArtifactOwner& owner, const std::string& path,
           std::ostream& stream, const TransferOptions& options)
      : caller_(caller), stream_(stream), options_(options), patience_(options.cancellation) {
    *request_.mutable_artifact()->mutable_owner() = owner.message();
    request_.mutable_artifact()->set_path(path);
  }

  v1::Blob run() {
    while (!is_whole()) {
      try {
        go_on();
        if (!is_whole()) throw Error(Code::kUnavailable, "the server ended a download");
      } catch (const Error& error) {
        patience_.wait(error);
      }
    }
    if (hash_.digest() != blob_->digest()) {
      throw Error(Code::kDataLoss, "'" + path() + "' arrived with another digest",
                  "DIGEST_MISMATCH", {{"expected", blob_->digest()}});
    }
    return *blob_;
  }

 private:
  bool is_whole() const { return blob_ && done_ == blob_->size_bytes(); }
  const std::string& path() const { return request_.artifact().path(); }

  // One call, from where the last one ended.
  void go_on() {
    grpc::ClientContext context;
    caller_.add_metadata(context);
    const OnCancel on_cancel(options_.cancellation, [&] { context.TryCancel(); });
    request_.set_offset(done_);
    const auto reader = caller_.stub<v1::ArtifactService>({{}, options_.cancellation})
                            .DownloadArtifact(&context, request_);
    for (v1::DownloadArtifactResponse response; reader->Read(&response);) {
      if (response.has_blob()) begin(response.blob());
      if (response.has_chunk()) take(response.chunk());
    }
    caller_.check(reader->Finish());
  }

  void begin(const v1::Blob& blob) {
    if (!blob_) {
      blob_ = blob;
      if (options_.progress) options_.progress(0, blob.size_bytes());
    } else if (blob_->digest() != blob.digest()) {
      throw Error(Code::kAborted, "'" + path() + "' was changed while it was fetched");
    }
  }

  void take(const v1::Chunk& chunk) {
    check(chunk, done_);
    const auto size = static_cast<std::int64_t>(chunk.data().size());
    if (!blob_ || done_ + size > blob_->size_bytes()) {
      throw Error(Code::kInternal, "'" + path() + "' is longer than the server said");
    }
    hash_.update(chunk.data());
    if (!stream_.write(chunk.data().data(), size)) {
      throw Error(Code::kUnknown, "'" + path() + "' cannot be written here");
    }
    done_ += size;
    patience_.progress();
    if (options_.progress) options_.progress(done_, blob_->size_bytes());
  }

  Caller& caller_;
  std::ostream& stream_;
  const TransferOptions& options_;
  Patience patience_;
  v1::DownloadArtifactRequest request_;
  Sha256 hash_;
  std::optional<v1::Blob> blob_;
  std::int64_t done_ = 0;
};

}  // namespace

v1::Blob receive(Caller& caller, const ArtifactOwner& owner, const std::string& path,
                 std::ostream& stream, const TransferOptions& options) {
  return Download(caller, owner, path, stream, options).run();
}

}  // namespace runwire
