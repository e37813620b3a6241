#include "caller.h"

#include <string>

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

Caller::Opened& Caller::opened() {
  const std::lock_guard guard(lock_);
  if (opened_.channel) return opened_;
  const auto channel = connect(settings_);
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
  const auto deadline = Steady::now() + options.timeout.value_or(settings_.timeout);
  Retry retry(deadline);
  while (true) {
    try {
      return attempt_once(deadline, options, call);
    } catch (const Error& error) {
      if (!is_repeatable(service, method) || !retry.wait(error, options.cancellation)) throw;
    }
  }
}

void Caller::attempt_once(Steady::time_point deadline, const CallOptions& options,
                          const Attempt& call) {
  grpc::ClientContext context;
  add_metadata(context);
  context.set_deadline(std::chrono::system_clock::now() +
                       std::max(deadline - Steady::now(), Steady::duration(1'000'000)));
  const OnCancel on_cancel(options.cancellation, [&] { context.TryCancel(); });
  check(call(context));
}

}  // namespace runwire
