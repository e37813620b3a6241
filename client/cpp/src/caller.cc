#include "caller.h"

#include <string>

#include "bounded.h"
#include "connect.h"
#include "status.h"
#include "text.h"
#include "version.h"

namespace runwire {

namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::MethodOptions;

bool is_repeatable(const char* service, const char* method) {
  const auto* found =
      DescriptorPool::generated_pool()->FindMethodByName(std::string(service) + "." + method);
  if (found == nullptr || found->client_streaming()) return false;
  const auto level = found->options().idempotency_level();
  return level == MethodOptions::NO_SIDE_EFFECTS || level == MethodOptions::IDEMPOTENT;
}

}  // namespace

// The server is found by one call at a time; the others wait for it as long as they may.
Caller::Opened& Caller::opened(const Until& until) {
  std::unique_lock guard(lock_, std::try_to_lock);
  while (!guard && !guard.try_lock_for(until.pause())) {
  }
  if (opened_.channel) return opened_;
  const auto channel = connect(settings_, until);
  opened_.stubs = {v1::RunService::NewStub(channel), v1::MetricService::NewStub(channel),
                   v1::ArtifactService::NewStub(channel), v1::RegistryService::NewStub(channel),
                   v1::ServerService::NewStub(channel)};
  opened_.channel = channel;
  return opened_;
}

void Caller::add_metadata(grpc::ClientContext& context) const {
  context.AddMetadata("runwire-client", std::string("cpp/") + kVersion);
  context.AddMetadata("runwire-user", percent_encoded(settings_.user));
  if (!settings_.token.empty()) {
    context.AddMetadata("authorization", "Bearer " + settings_.token);
  }
}

void Caller::check(const grpc::Status& status) const {
  if (!status.ok()) throw error_of(status, settings_.uri);
}

void Caller::attempt(const char* service, const char* method, const CallOptions& options,
                     const Attempt& call) {
  const auto timeout = bounded(options.timeout.value_or(settings_.timeout));
  const Until until{Steady::now() + timeout, options.cancellation};
  Retry retry(until.deadline);
  while (true) {
    try {
      return attempt_once(until, call);
    } catch (const Error& error) {
      if (!is_repeatable(service, method) || !retry.wait(error, options.cancellation)) throw;
    }
  }
}

void Caller::attempt_once(const Until& until, const Attempt& call) {
  grpc::ClientContext context;
  add_metadata(context);
  context.set_deadline(std::chrono::system_clock::now() +
                       std::max(*until.deadline - Steady::now(), Steady::duration(1'000'000)));
  const OnCancel on_cancel(until.cancellation, [&] { context.TryCancel(); });
  check(call(context, until));
}

}  // namespace runwire
