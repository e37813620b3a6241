/// @file
/// The registry of models.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runwire/call.h"
#include "runwire/error.h"
#include "runwire/pager.h"
#include "runwire/runs.h"
#include "runwire/v1/model.pb.h"

namespace runwire {

class Caller;

using v1::Model;
using v1::ModelVersion;

/// What a new model is to be.
struct NewModel {
  std::string name;
  std::string description;
  Texts tags;
  /// Return the model of that name where there is one, unchanged, instead of ALREADY_EXISTS.
  bool get_existing = false;
};

/// What a new version is to be: artifacts of a run, or bytes kept elsewhere.
struct NewModelVersion {
  std::string model;
  std::string run_id;         ///< Whose artifacts.
  std::string artifact_path;  ///< A folder or file of them. Empty: all.
  std::string source_uri;     ///< Instead of a run: where the bytes are; only noted.
  std::string description;
  Texts tags;
  std::vector<std::string> aliases;  ///< Moved to it in the same transaction.
  bool create_model = false;         ///< Make the model where it does not exist.
  std::string comment;               ///< Why, for the history.
};

/// A move of an alias.
struct AliasMove {
  std::int64_t previous_version = 0;  ///< 0: it was not set.
  std::int64_t revision = 0;          ///< Of the registry after it; for `min_revision`.
};

/// What a reference means: a version, or why it means none.
struct Resolved {
  std::string reference;
  std::optional<ModelVersion> version;
  std::optional<Error> error;
};

/// Use `Client::models`. All throw `Error`. References are "NAME@ALIAS", "NAME/VERSION",
/// "NAME/latest" and "NAME/STAGE".
class Models {
 public:
  explicit Models(std::shared_ptr<Caller> caller) : caller_(std::move(caller)) {}

  Model create(const NewModel& model, const CallOptions& options = {}) const;
  Model get(const std::string& name, const CallOptions& options = {}) const;
  Pager<Model> search(const std::string& filter = {}, const std::string& order_by = {},
                      const CallOptions& options = {}) const;
  ModelVersion create_version(const NewModelVersion& version,
                              const CallOptions& options = {}) const;
  ModelVersion get_version(const std::string& model, std::int64_t version,
                           const CallOptions& options = {}) const;
  /// By compare and set: `expected_version` is where it must point now, 0: it must not be set;
  /// unset: wherever it points. Fails with ALIAS_MOVED.
  AliasMove set_alias(const std::string& model, const std::string& alias, std::int64_t version,
                      std::optional<std::int64_t> expected_version = {},
                      const std::string& comment = {}, const CallOptions& options = {}) const;
  /// What it means now. Throws where it means nothing.
  ModelVersion resolve(const std::string& reference, const CallOptions& options = {}) const;
  /// Of one moment, in their order; `min_revision`: not before this one.
  std::vector<Resolved> resolve_all(const std::vector<std::string>& references,
                                    std::int64_t min_revision = 0,
                                    const CallOptions& options = {}) const;

 private:
  std::shared_ptr<Caller> caller_;
};

}  // namespace runwire
