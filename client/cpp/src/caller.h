// One door to the services: deadlines, retries, typed errors. What may be tried again is not
// decided here: the idempotency_level of the method in the protos says it.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <mutex>
#include <tuple>
#include <utility>

#include "cancellation.h"
#include "retry.h"
#include "runwire/v1/artifact_service.grpc.pb.h"
#include "runwire/v1/metric_service.grpc.pb.h"
#include "runwire/v1/registry_service.grpc.pb.h"
#include "runwire/v1/run_service.grpc.pb.h"
#include "runwire/v1/server_service.grpc.pb.h"
#include "settings.h"
#include "until.h"

namespace runwire {

class Caller {
 public:
  explicit Caller(Settings settings) : settings_(std::move(settings)) {}

  const Settings& settings() const { return settings_; }

  // Opened where it was not; throws Error where it cannot be.
  std::shared_ptr<grpc::Channel> channel() { return opened({}).channel; }

  template <class Service>
  typename Service::Stub& stub(const Until& until = {}) {
    return *std::get<std::unique_ptr<typename Service::Stub>>(opened(until).stubs);
  }

  // The token, and who calls.
  void add_metadata(grpc::ClientContext& context) const;

  // Throws the error of a call that failed.
  void check(const grpc::Status& status) const;

  // One response, within the timeout, all attempts together.
  template <class Service, class Request, class Response>
  Response unary(const char* method,
                 grpc::Status (Service::Stub::*call)(grpc::ClientContext*, const Request&,
                                                     Response*),
                 const Request& request, const CallOptions& options) {
    Response response;
    attempt(Service::service_full_name(), method, options,
            [&](grpc::ClientContext& context, const Until& until) {
              response.Clear();
              return (stub<Service>(until).*call)(&context, request, &response);
            });
    return response;
  }

 private:
  template <class... Services>
  using StubsOf = std::tuple<std::unique_ptr<typename Services::Stub>...>;

  struct Opened {
    std::shared_ptr<grpc::Channel> channel;
    StubsOf<v1::RunService, v1::MetricService, v1::ArtifactService, v1::RegistryService,
            v1::ServerService>
        stubs;
  };

  using Attempt = std::function<grpc::Status(grpc::ClientContext&, const Until&)>;

  Opened& opened(const Until& until);
  void attempt(const char* service, const char* method, const CallOptions& options,
               const Attempt& call);
  void attempt_once(const Until& until, const Attempt& call);

  Settings settings_;
  std::timed_mutex lock_;
  Opened opened_;
};

}  // namespace runwire
