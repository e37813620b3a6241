// From settings to a channel.
#pragma once

#include <grpcpp/channel.h>

#include <memory>

#include "settings.h"
#include "until.h"

namespace runwire {

// Asks the web port where the URI says so. Throws Error.
std::shared_ptr<grpc::Channel> connect(const Settings& settings, const Until& until);

}  // namespace runwire
