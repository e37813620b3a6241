#include "runwire/model_watcher.h"

#include <condition_variable>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "bounded.h"
#include "model_follower.h"
#include "notifier.h"
#include "retry.h"
#include "status.h"

namespace runwire {

namespace {

constexpr std::size_t kMaxReferences = 1000;

using Meanings = std::unordered_map<std::string, Resolved>;

void check(const std::vector<std::string>& references) {
  if (references.empty() || references.size() > kMaxReferences) {
    throw invalid("references", "1 to 1000, not " + std::to_string(references.size()));
  }
  for (const auto& reference : references) {
    const auto at = reference.find_first_of("@/");
    if (at == 0 || at == std::string::npos || at + 1 == reference.size()) {
      throw invalid("references", "'" + reference + "' is not MODEL@ALIAS or MODEL/VERSION");
    }
  }
}

// Whether it is another version: notes, tags, aliases and stage do not make it one.
bool is_same(const Resolved& one, const Resolved& other) {
  if (!one.version || !other.version) {
    return !one.version && !other.version && one.error->reason() == other.error->reason();
  }
  const auto& a = *one.version;
  const auto& b = *other.version;
  return a.model() == b.model() && a.version() == b.version() &&
         a.create_time().seconds() == b.create_time().seconds() &&
         a.create_time().nanos() == b.create_time().nanos() && a.tree_digest() == b.tree_digest() &&
         a.source_uri() == b.source_uri();
}

std::vector<std::string> each_once(std::vector<std::string> references) {
  std::vector<std::string> kept;
  Meanings seen;
  for (auto& one : references) {
    if (seen.emplace(one, Resolved()).second) kept.push_back(std::move(one));
  }
  return kept;
}

}  // namespace

// What was posted keeps it alive: a callback may destroy its watcher.
struct ModelWatcher::Watch : std::enable_shared_from_this<Watch> {
  Watch(std::vector<std::string> all, OnChange call)
      : references(each_once(std::move(all))), on_change(std::move(call)) {
    check(references);
  }

  void follow(std::shared_ptr<Caller> caller) {
    follower = std::make_unique<ModelFollower>(
        std::move(caller), references, [this](const auto& answer) { take(answer); },
        [this](const Error& one) { fail(one); });
  }

  void take(const std::vector<Resolved>& answer) {
    const std::lock_guard guard(lock);
    for (const auto& one : answer) meanings.insert_or_assign(one.reference, one);
    confirmed = Steady::now();
    ready.notify_all();
    if (!on_change || std::exchange(is_posted, true)) return;
    notifier.post([self = shared_from_this()] { self->announce(); });
  }

  void fail(const Error& one) {
    const std::lock_guard guard(lock);
    error = one;
  }

  // In the notifier's thread: whatever came meanwhile is told as it is in the end.
  void announce() {
    Meanings now;
    {
      const std::lock_guard guard(lock);
      is_posted = false;
      now = meanings;
    }
    for (const auto& reference : references) {
      const auto found = now.find(reference);
      if (found != now.end()) announce(reference, found->second);
    }
  }

  void announce(const std::string& reference, const Resolved& now) {
    const auto before = told.find(reference);
    if (before != told.end() && is_same(before->second, now)) return;
    const auto old = before == told.end() ? std::nullopt : before->second.version;
    told.insert_or_assign(reference, now);
    {
      const std::lock_guard guard(lock);
      if (is_closed) return;
    }
    try {
      on_change({reference, old, now.version});
    } catch (...) {  // NOLINT: the callback's own fault must not keep others from being told
    }
  }

  const std::vector<std::string> references;
  const OnChange on_change;
  std::mutex lock;
  std::condition_variable ready;
  Meanings meanings;
  std::optional<Steady::time_point> confirmed;
  std::optional<Error> error;
  bool is_posted = false;
  bool is_closed = false;
  Meanings told;  // of the notifier's thread
  Notifier notifier;
  std::unique_ptr<ModelFollower> follower;
};

ModelWatcher::ModelWatcher(const Client& client, std::vector<std::string> references,
                           OnChange on_change)
    : watch_(std::make_shared<Watch>(std::move(references), std::move(on_change))) {
  watch_->follow(client.caller());
}

ModelWatcher::~ModelWatcher() {
  if (watch_) close();
}

ModelWatcher::ModelWatcher(ModelWatcher&&) noexcept = default;

ModelWatcher& ModelWatcher::operator=(ModelWatcher&& other) noexcept {
  std::swap(watch_, other.watch_);
  return *this;
}

ModelVersion ModelWatcher::get(const std::string& reference) const {
  const std::lock_guard guard(watch_->lock);
  const auto found = watch_->meanings.find(reference);
  if (found != watch_->meanings.end()) {
    if (found->second.version) return *found->second.version;
    throw Error(*found->second.error);
  }
  for (const auto& one : watch_->references) {
    if (one != reference) continue;
    if (watch_->error) throw Error(*watch_->error);
    throw Error(Code::kUnavailable, "nothing was heard of '" + reference + "' yet");
  }
  throw invalid("reference", "'" + reference + "' is not watched");
}

bool ModelWatcher::connected() const {
  return watch_->follower->is_connected();
}

std::optional<std::chrono::milliseconds> ModelWatcher::age() const {
  const std::lock_guard guard(watch_->lock);
  if (!watch_->confirmed) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - *watch_->confirmed);
}

bool ModelWatcher::wait_ready(std::chrono::milliseconds timeout) const {
  std::unique_lock guard(watch_->lock);
  return watch_->ready.wait_for(guard, bounded(timeout),
                                [&] { return watch_->confirmed.has_value(); });
}

void ModelWatcher::close() {
  {
    const std::lock_guard guard(watch_->lock);
    watch_->is_closed = true;
  }
  watch_->follower->close();
  watch_->notifier.close();
}

}  // namespace runwire
