// The client's environment, read in one place.
//
// RUNWIRE_TRACKING_URI   where the server is
// RUNWIRE_TOKEN          bearer token, sent with every call
// RUNWIRE_CA_FILE        certificate authorities for grpcs:// and https://
// RUNWIRE_TIMEOUT_S      deadline of one call (default 30)
// RUNWIRE_WORKSPACE      the workspace of experiments and models
// RUNWIRE_USER           recorded as the user instead of the login name
#pragma once

#include <chrono>
#include <string>

#include "runwire/client.h"

namespace runwire {

struct Settings {
  std::string uri;
  std::string token;
  std::string ca_file;
  std::string workspace;
  std::string user;
  std::chrono::milliseconds timeout{30'000};
};

// The arguments, and what they leave open from the environment. Throws Error, naming the variable.
Settings settings(const std::string& uri, const ClientOptions& options);

}  // namespace runwire
