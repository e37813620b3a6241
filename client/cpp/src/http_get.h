// One HTTP/1.1 GET, for the discovery of gRPC ports.
#pragma once

#include <string>

#include "uri.h"

namespace runwire {

struct HttpAnswer {
  int status = 0;
  std::string body;
};

// `ca_file`: empty for the certificate authorities of the system; used where `secure`. Throws Error
// (kUnavailable) where nothing answers within 10 s.
HttpAnswer http_get(const Endpoint& server, const std::string& path, bool secure,
                    const std::string& ca_file);

// What a server sent, up to the end of the connection.
HttpAnswer parse_http_answer(const std::string& raw);

}  // namespace runwire
