// From what ended a call to the error that is thrown.
#pragma once

#include <grpcpp/support/status.h>

#include <string>
#include <string_view>

#include "runwire/error.h"
#include "runwire/v1/common.pb.h"

namespace runwire {

// What we use of a google.rpc.Status and its details; empty where it was not sent.
struct StatusDetails {
  std::string message;
  std::string reason;
  Error::Metadata metadata;
  std::optional<std::chrono::nanoseconds> retry_after;
};

// Reads a serialized google.rpc.Status; nothing where it is damaged. The few messages are read from
// their wire form: gRPC's C++ packages do not bring them, and a copy of our own would collide with
// that of a program that has them. Definitions: google/rpc/status.proto, error_details.proto.
std::optional<StatusDetails> parse_status(std::string_view data);

// The error of a call that failed; `uri` is what the user connected to.
Error error_of(const grpc::Status& status, const std::string& uri);

// The error of one entry of a batch, as a call of its own would have ended.
Error error_of(const v1::Fault& fault);

// What this side finds wrong with an argument before it asks the server.
Error invalid(const std::string& field, const std::string& problem);

}  // namespace runwire
