/// @file
/// For programs that serve models.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runwire/client.h"

namespace runwire {

/// A reference means something else than before.
struct ModelChange {
  std::string reference;
  std::optional<ModelVersion> before;
  std::optional<ModelVersion> now;
};

/// Knows what references to models mean, and hears of it when that changes. Answers come from
/// memory; a thread follows the registry, over restarts and outages of the server, during which the
/// last answers stay. Safe for threads.
class ModelWatcher {
 public:
  using OnChange = std::function<void(const ModelChange&)>;

  /// `on_change` is called in a thread of the watcher's own, first with what each reference means
  /// at the start; several changes while it runs are one. What it throws is ignored, and it may
  /// close and destroy the watcher. Throws `Error` (kInvalidArgument) for what can never mean
  /// anything.
  ModelWatcher(const Client& client, std::vector<std::string> references, OnChange on_change = {});
  /// close().
  ~ModelWatcher();
  ModelWatcher(ModelWatcher&&) noexcept;
  ModelWatcher& operator=(ModelWatcher&&) noexcept;

  /// The version that it means, as far as is known; without any I/O. Throws `Error`: NOT_FOUND and
  /// whatever else `Models::resolve` would, and kUnavailable while nothing was heard yet.
  ModelVersion get(const std::string& reference) const;
  /// Whether a server tells of changes now.
  bool connected() const;
  /// Since the answers were last known to be right. While connected a server says so every 15 s.
  /// Unset: there are none yet.
  std::optional<std::chrono::milliseconds> age() const;
  /// Waits until there are answers; false: not in this time.
  bool wait_ready(std::chrono::milliseconds timeout) const;
  /// Ends its threads; the answers stay. A callback that is under way is waited for.
  void close();

 private:
  struct Watch;
  std::shared_ptr<Watch> watch_;
};

}  // namespace runwire
