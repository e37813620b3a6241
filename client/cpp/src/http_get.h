// One HTTP/1.1 GET, for the discovery of gRPC ports.
#pragma once

#include <string>

#include "until.h"
#include "uri.h"

namespace runwire {

struct HttpAnswer {
  int status = 0;
  std::string body;
};

// `ca_file`: empty for the certificate authorities of the system; used where `secure`. Throws
// Error: kUnavailable where nothing answers within 10 s, and as `until` says. Only the look-up of a
// name takes as long as the system likes.
HttpAnswer http_get(const Endpoint& server, const std::string& path, bool secure,
                    const std::string& ca_file, const Until& until);

// Of what a server sent, up to the end of the connection. Throws Error (kUnavailable) where that
// was cut: fewer bytes came than it says.
HttpAnswer parse_http_answer(const std::string& raw);

}  // namespace runwire
