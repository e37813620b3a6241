/// @file
/// Files of runs and of model versions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "runwire/call.h"
#include "runwire/pager.h"
#include "runwire/v1/artifact.pb.h"
#include "runwire/v1/model.pb.h"

namespace runwire {

class Caller;

using v1::Artifact;
using v1::Blob;

/// What holds artifacts: a run, by its id, or a version of a model.
class ArtifactOwner {
 public:
  ArtifactOwner(const std::string& run_id) { message_.set_run_id(run_id); }  // NOLINT: implicit
  ArtifactOwner(const char* run_id) { message_.set_run_id(run_id); }         // NOLINT: implicit
  ArtifactOwner(const v1::ModelVersion& version);                            // NOLINT: implicit
  const v1::ArtifactOwner& message() const { return message_; }

 private:
  v1::ArtifactOwner message_;
};

/// Of one transfer. There is no deadline: it goes on through cuts and restarts of the server for as
/// long as bytes arrive, and gives up after half a minute or so without any.
struct TransferOptions {
  /// Called with bytes that are safe on the other side, and bytes in all; first with what was there
  /// already. From the thread of the transfer.
  std::function<void(std::int64_t done, std::int64_t total)> progress;
  /// Ends it early.
  std::optional<Cancellation> cancellation;
  /// Of an upload: "image/png". Empty: not known.
  std::string media_type;
};

/// Use `Client::artifacts`. Paths are relative, with '/'. Memory use does not grow with sizes. All
/// throw `Error`, and std::filesystem::filesystem_error where a file here cannot be read or
/// written.
class Artifacts {
 public:
  explicit Artifacts(std::shared_ptr<Caller> caller) : caller_(std::move(caller)) {}

  /// Bytes first, the name last: nobody sees half a file. Bytes that the server has are not sent.
  /// A file must not change meanwhile.
  Blob upload(const std::string& run_id, const std::string& path, const std::filesystem::path& file,
              const TransferOptions& options = {}) const;
  /// From where the stream stands to its end. It is read twice: it must be able to seek.
  Blob upload(const std::string& run_id, const std::string& path, std::istream& stream,
              const TransferOptions& options = {}) const;
  Blob upload_bytes(const std::string& run_id, const std::string& path, std::string_view data,
                    const TransferOptions& options = {}) const;

  /// The file appears under its name when it is whole and its digest was checked. Its folder is
  /// made where it does not exist.
  Blob download(const ArtifactOwner& owner, const std::string& path,
                const std::filesystem::path& file, const TransferOptions& options = {}) const;
  /// What was written to the stream is right only if this returns.
  Blob download(const ArtifactOwner& owner, const std::string& path, std::ostream& stream,
                const TransferOptions& options = {}) const;
  std::string download_bytes(const ArtifactOwner& owner, const std::string& path,
                             const TransferOptions& options = {}) const;

  /// Files under a prefix, which is a folder or one file; those in folders below it too.
  Pager<Artifact> list(const ArtifactOwner& owner, const std::string& prefix = {},
                       bool recursive = true, const CallOptions& options = {}) const;

 private:
  std::shared_ptr<Caller> caller_;
};

}  // namespace runwire
