#include "runwire/models.h"

#include "caller.h"
#include "status.h"
#include "text.h"

namespace runwire {

namespace {

using Service = v1::RegistryService;
using Stub = Service::Stub;

Resolved resolved(const v1::ResolveModelsResponse::Resolved& one) {
  if (one.has_fault()) return {one.reference(), std::nullopt, error_of(one.fault())};
  return {one.reference(), one.model_version(), std::nullopt};
}

}  // namespace

Model Models::create(const NewModel& model, const CallOptions& options) const {
  v1::CreateModelRequest request;
  request.set_workspace(caller_->settings().workspace);
  request.set_name(model.name);
  request.set_description(model.description);
  request.mutable_tags()->insert(model.tags.begin(), model.tags.end());
  request.set_get_existing(model.get_existing);
  request.set_request_id(random_hex(16));
  return caller_->unary<Service>("CreateModel", &Stub::CreateModel, request, options).model();
}

Model Models::get(const std::string& name, const CallOptions& options) const {
  v1::GetModelRequest request;
  request.set_workspace(caller_->settings().workspace);
  request.set_name(name);
  return caller_->unary<Service>("GetModel", &Stub::GetModel, request, options).model();
}

Pager<Model> Models::search(const std::string& filter, const std::string& order_by,
                            const CallOptions& options) const {
  v1::SearchModelsRequest request;
  request.set_workspace(caller_->settings().workspace);
  request.set_filter(filter);
  request.set_order_by(order_by);
  return Pager<Model>([caller = caller_, request, options](const std::string& page_token) mutable {
    request.set_page_token(page_token);
    const auto found =
        caller->unary<Service>("SearchModels", &Stub::SearchModels, request, options);
    return Pager<Model>::Page{{found.models().begin(), found.models().end()},
                              found.next_page_token()};
  });
}

ModelVersion Models::create_version(const NewModelVersion& version,
                                    const CallOptions& options) const {
  v1::CreateModelVersionRequest request;
  request.set_workspace(caller_->settings().workspace);
  request.set_model(version.model);
  request.set_source_run_id(version.run_id);
  request.set_source_path(version.artifact_path);
  request.set_source_uri(version.source_uri);
  request.set_description(version.description);
  request.mutable_tags()->insert(version.tags.begin(), version.tags.end());
  for (const auto& alias : version.aliases) request.add_aliases(alias);
  request.set_create_model(version.create_model);
  request.set_comment(version.comment);
  request.set_request_id(random_hex(16));
  return caller_->unary<Service>("CreateModelVersion", &Stub::CreateModelVersion, request, options)
      .model_version();
}

ModelVersion Models::get_version(const std::string& model, std::int64_t version,
                                 const CallOptions& options) const {
  v1::GetModelVersionRequest request;
  request.mutable_key()->set_workspace(caller_->settings().workspace);
  request.mutable_key()->set_model(model);
  request.mutable_key()->set_version(version);
  return caller_->unary<Service>("GetModelVersion", &Stub::GetModelVersion, request, options)
      .model_version();
}

AliasMove Models::set_alias(const std::string& model, const std::string& alias,
                            std::int64_t version, std::optional<std::int64_t> expected_version,
                            const std::string& comment, const CallOptions& options) const {
  v1::SetModelAliasRequest request;
  request.set_workspace(caller_->settings().workspace);
  request.set_model(model);
  request.set_alias(alias);
  request.set_version(version);
  if (expected_version) request.set_expected_version(*expected_version);
  request.set_comment(comment);
  const auto moved =
      caller_->unary<Service>("SetModelAlias", &Stub::SetModelAlias, request, options);
  return {moved.previous_version(), moved.revision()};
}

ModelVersion Models::resolve(const std::string& reference, const CallOptions& options) const {
  auto found = resolve_all({reference}, 0, options);
  if (found.size() != 1) throw Error(Code::kInternal, "the server did not answer for a reference");
  if (found[0].error) throw Error(*found[0].error);
  return std::move(*found[0].version);
}

std::vector<Resolved> Models::resolve_all(const std::vector<std::string>& references,
                                          std::int64_t min_revision,
                                          const CallOptions& options) const {
  v1::ResolveModelsRequest request;
  request.set_workspace(caller_->settings().workspace);
  for (const auto& reference : references) request.add_references(reference);
  request.set_min_revision(min_revision);
  const auto answer =
      caller_->unary<Service>("ResolveModels", &Stub::ResolveModels, request, options);
  std::vector<Resolved> found;
  for (const auto& one : answer.resolved()) found.push_back(resolved(one));
  return found;
}

}  // namespace runwire
