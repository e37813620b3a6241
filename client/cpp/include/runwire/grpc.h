/// @file
/// The way out: the generated stubs over a client's own connection. Not part of `runwire.h`,
/// because it brings gRPC's headers with it.
///
///     auto stub = runwire::v1::RunService::NewStub(runwire::channel(client));
///     grpc::ClientContext context;
///     runwire::add_metadata(client, context);
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <memory>

#include "runwire/client.h"

namespace runwire {

/// Opened where it was not. Throws `Error`.
std::shared_ptr<grpc::Channel> channel(const Client& client);

/// The token, and who calls.
void add_metadata(const Client& client, grpc::ClientContext& context);

}  // namespace runwire
