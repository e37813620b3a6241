#include "runwire/artifacts.h"

#include <sstream>

#include "artifact_download.h"
#include "artifact_source.h"
#include "artifact_upload.h"
#include "caller.h"

namespace runwire {

namespace {

Blob upload_source(Caller& caller, const std::string& run_id, const std::string& path,
                   Source& source, const TransferOptions& options) {
  send(caller, source, options);
  commit(caller, run_id, path, source, options);
  return source.blob();
}

}  // namespace

ArtifactOwner::ArtifactOwner(const v1::ModelVersion& version) {
  message_.mutable_model_version()->set_model(version.model());
  message_.mutable_model_version()->set_version(version.version());
  message_.mutable_model_version()->set_workspace(version.workspace());
}

Blob Artifacts::upload(const std::string& run_id, const std::string& path,
                       const std::filesystem::path& file, const TransferOptions& options) const {
  FileSource source(file);
  return upload_source(*caller_, run_id, path, source, options);
}

Blob Artifacts::upload(const std::string& run_id, const std::string& path, std::istream& stream,
                       const TransferOptions& options) const {
  StreamSource source(stream);
  return upload_source(*caller_, run_id, path, source, options);
}

Blob Artifacts::upload_bytes(const std::string& run_id, const std::string& path,
                             std::string_view data, const TransferOptions& options) const {
  BytesSource source(data);
  return upload_source(*caller_, run_id, path, source, options);
}

Blob Artifacts::download(const ArtifactOwner& owner, const std::string& path,
                         const std::filesystem::path& file, const TransferOptions& options) const {
  AppearingFile target(file);
  const Blob blob = receive(*caller_, owner, path, target.stream(), options);
  target.commit();
  return blob;
}

Blob Artifacts::download(const ArtifactOwner& owner, const std::string& path, std::ostream& stream,
                         const TransferOptions& options) const {
  return receive(*caller_, owner, path, stream, options);
}

std::string Artifacts::download_bytes(const ArtifactOwner& owner, const std::string& path,
                                      const TransferOptions& options) const {
  std::ostringstream stream;
  receive(*caller_, owner, path, stream, options);
  return stream.str();
}

Pager<Artifact> Artifacts::list(const ArtifactOwner& owner, const std::string& prefix,
                                bool recursive, const CallOptions& options) const {
  v1::ListArtifactsRequest request;
  *request.mutable_owner() = owner.message();
  request.set_prefix(prefix);
  request.set_recursive(recursive);
  return Pager<Artifact>(
      [caller = caller_, request, options](const std::string& page_token) mutable {
        request.set_page_token(page_token);
        const auto found = caller->unary<v1::ArtifactService>(
            "ListArtifacts", &v1::ArtifactService::Stub::ListArtifacts, request, options);
        return Pager<Artifact>::Page{{found.artifacts().begin(), found.artifacts().end()},
                                     found.next_page_token()};
      });
}

}  // namespace runwire
