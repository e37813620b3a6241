#include "runwire/client.h"

#include "caller.h"
#include "runwire/grpc.h"
#include "settings.h"

namespace runwire {

Client::Client(const std::string& uri, const ClientOptions& options)
    : caller_(std::make_shared<Caller>(settings(uri, options))),
      runs_(caller_),
      metrics_(caller_),
      artifacts_(caller_),
      models_(caller_) {}

Client::~Client() = default;
Client::Client(const Client&) = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(const Client&) = default;
Client& Client::operator=(Client&&) noexcept = default;

const std::string& Client::uri() const {
  return caller_->settings().uri;
}

Writer Client::writer(const std::string& run_id, const WriterOptions& options) const {
  return Writer(caller_, run_id, options);
}

v1::GetServerInfoResponse Client::server_info(const CallOptions& options) const {
  return caller_->unary<v1::ServerService>("GetServerInfo", &v1::ServerService::Stub::GetServerInfo,
                                           v1::GetServerInfoRequest(), options);
}

std::shared_ptr<grpc::Channel> channel(const Client& client) {
  return client.caller()->channel();
}

void add_metadata(const Client& client, grpc::ClientContext& context) {
  client.caller()->add_metadata(context);
}

}  // namespace runwire
