// Tracking URIs: what a user may write, and what it comes to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace runwire {

inline constexpr std::uint16_t kGrpcPort = 5001;

// HOST, [ADDRESS], HOST:PORT or [ADDRESS]:PORT; port 0: none was given.
struct Endpoint {
  std::string host;  // without brackets
  std::uint16_t port = 0;

  // As gRPC takes it: HOST:PORT, an IPv6 address in brackets.
  std::string text() const;
};

// Throws Error where it is none.
Endpoint parse_endpoint(std::string_view text);

// The parts of a URI: "grpc", "ada,bob:6001", "".
struct UriParts {
  std::string scheme;
  std::string authority;
  std::string path;
};
UriParts parse_uri(const std::string& uri);

// The URI without a "/" at its end; throws Error for what this client cannot speak to.
std::string resolved_uri(const std::string& uri);

// The servers of a resolved grpc:// or grpcs:// URI.
std::vector<Endpoint> grpc_endpoints(const std::string& uri);

// The URI without its password, for messages.
std::string shown(const std::string& uri);

}  // namespace runwire
