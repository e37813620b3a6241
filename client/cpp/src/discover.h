// `http://HOST:5000` as tracking URI: ask the web port where gRPC is served.
#pragma once

#include <string>

#include "until.h"
#include "uri.h"

namespace runwire {

// The gRPC endpoint behind a web address; https means TLS there too. Throws Error: kUnavailable
// where nothing answers, kInvalidArgument where something does that is no Runwire server, and as
// `until` says.
Endpoint discover(const std::string& uri, const std::string& ca_file, const Until& until = {});

// Of what the server calls its endpoint (":5001", "0.0.0.0:5001", "ada:5001"), as seen from here.
Endpoint seen_from(const std::string& grpc_endpoint, const std::string& host);

}  // namespace runwire
