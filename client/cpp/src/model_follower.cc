#include "model_follower.h"

#include <algorithm>
#include <set>
#include <utility>

namespace runwire {

namespace {

// Full jitter: thousands of programs whose server comes back do not come back as one.
constexpr std::chrono::milliseconds kFirstDelay{250};
constexpr std::chrono::milliseconds kMostDelay{5000};

bool did_not_fit(const Resolved& one) {
  return one.error && one.error->reason() == "TOO_LARGE";
}

std::vector<std::string> unfit(const std::vector<Resolved>& answer) {
  std::vector<std::string> left;
  for (const auto& one : answer) {
    if (did_not_fit(one)) left.push_back(one.reference);
  }
  return left;
}

}  // namespace

std::string model_of(const std::string& reference) {
  return reference.substr(0, reference.find_first_of("@/"));
}

ModelFollower::ModelFollower(std::shared_ptr<Caller> caller, std::vector<std::string> references,
                             Take take, Fail fail)
    : caller_(std::move(caller)),
      models_(caller_),
      references_(std::move(references)),
      take_(std::move(take)),
      fail_(std::move(fail)),
      thread_([this] { work(); }) {}

void ModelFollower::close() {
  closed_.cancel();
  const std::lock_guard guard(closing_);
  if (thread_.joinable()) thread_.join();
}

void ModelFollower::work() {
  int failures = 0;
  while (!closed_.is_cancelled()) {
    const auto error = follow_once();
    failures = connected_.exchange(false) ? 1 : failures + 1;
    auto delay = jitter(doubled(kFirstDelay, failures, kMostDelay));
    if (error) {
      fail_(*error);
      delay += error->retry_after().value_or(std::chrono::nanoseconds{0});
    }
    sleep(delay, closed_);
  }
}

std::optional<Error> ModelFollower::follow_once() {
  try {
    follow();
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& error) {  // whatever it is, the last answers are served on
    return Error(Code::kUnknown, error.what());
  }
}

void ModelFollower::follow() {
  std::set<std::string> models;
  for (const auto& reference : references_) models.insert(model_of(reference));
  v1::WatchModelsRequest request;
  request.set_workspace(caller_->settings().workspace);
  for (const auto& model : models) request.add_models(model);
  request.set_last_only(true);
  if (revision_ != 0) request.set_after_revision(revision_);
  grpc::ClientContext context;
  caller_->add_metadata(context);
  const OnCancel on_cancel(closed_, [&] { context.TryCancel(); });
  const auto reader =
      caller_->stub<v1::RegistryService>({{}, closed_}).WatchModels(&context, request);
  for (v1::WatchModelsResponse response; reader->Read(&response);) {
    if (response.has_expired()) {
      revision_ = 0;
      return;
    }
    hear(response);
  }
  caller_->check(reader->Finish());
}

void ModelFollower::hear(const v1::WatchModelsResponse& response) {
  const bool is_news = response.revision() > revision_ && !response.has_mark();
  if (is_news || !connected_) answer_ = ask(response.revision());
  revision_ = std::max(revision_, response.revision());
  connected_ = true;
  take_(answer_);
}

std::vector<Resolved> ModelFollower::ask(std::int64_t revision) {
  CallOptions options;
  options.cancellation = closed_;
  try {
    auto answer = models_.resolve_all(references_, revision, options);
    // One that does not fit even alone keeps that as its answer.
    std::size_t before = 0;
    for (auto left = unfit(answer); !left.empty() && left.size() != before; left = unfit(answer)) {
      before = left.size();
      for (auto& more : models_.resolve_all(left, revision, options)) {
        const auto place = std::find_if(answer.begin(), answer.end(), [&](const Resolved& one) {
          return one.reference == more.reference;
        });
        if (place != answer.end()) *place = std::move(more);
      }
    }
    return answer;
  } catch (const Error& error) {
    if (error.code() == Code::kOutOfRange) revision_ = 0;  // the registry has another past now
    throw;
  }
}

}  // namespace runwire
