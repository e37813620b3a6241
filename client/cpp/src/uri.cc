#include "uri.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "status.h"

namespace runwire {

namespace {

Error wrong(const std::string& uri, const std::string& problem) {
  return invalid("tracking_uri", "'" + shown(uri) + "': " + problem);
}

std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto at = text.find(by);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::uint16_t parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  if (error != std::errc() || stop != end || port == 0) {
    throw invalid("tracking_uri", "'" + std::string(text) + "' is no port");
  }
  return port;
}

// ada:5000, which has no scheme and looks as if it had one.
bool is_host_and_port(std::string_view rest) {
  return !rest.empty() && std::isdigit(static_cast<unsigned char>(rest.front())) != 0;
}

void check(const std::string& uri, const UriParts& parts) {
  const bool is_grpc = parts.scheme == "grpc" || parts.scheme == "grpcs";
  const auto servers = split(parts.authority, ',');
  for (const auto server : servers) {
    if (parse_endpoint(server).host.empty()) throw wrong(uri, "names no host");
  }
  if (is_grpc && !parts.path.empty()) {
    throw wrong(uri, "a gRPC address has no path (" + parts.path + ")");
  }
  if (!is_grpc && servers.size() > 1) {
    throw wrong(uri, "several servers go by their gRPC addresses, grpc://HOST:5001,HOST:5001");
  }
}

}  // namespace

std::string Endpoint::text() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return name + ":" + std::to_string(port);
}

Endpoint parse_endpoint(std::string_view text) {
  if (const auto at = text.rfind('@'); at != std::string_view::npos) text.remove_prefix(at + 1);
  Endpoint found;
  if (!text.empty() && text.front() == '[') {
    const auto end = text.find(']');
    if (end == std::string_view::npos) throw invalid("tracking_uri", "'[' without ']'");
    found.host = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
  } else {
    const auto end = std::min(text.find(':'), text.size());
    found.host = text.substr(0, end);
    text.remove_prefix(end);
  }
  if (!text.empty()) {
    if (text.front() != ':')
      throw invalid("tracking_uri", "'" + std::string(text) + "' after a host");
    found.port = parse_port(text.substr(1));
  }
  return found;
}

UriParts parse_uri(const std::string& uri) {
  const auto colon = uri.find("://");
  if (colon == std::string::npos) {
    const auto first = uri.find(':');
    if (first != std::string::npos && is_host_and_port(std::string_view(uri).substr(first + 1))) {
      throw wrong(uri, "has no scheme; did you mean http://" + uri + " (the web port), or grpc://" +
                           uri.substr(0, first) + ":5001?");
    }
    throw wrong(uri,
                "this client speaks to servers only: grpc(s)://HOST:5001 or http(s)://HOST:5000");
  }
  UriParts parts;
  parts.scheme = uri.substr(0, colon);
  std::transform(parts.scheme.begin(), parts.scheme.end(), parts.scheme.begin(),
                 [](unsigned char one) { return static_cast<char>(std::tolower(one)); });
  const std::string rest = uri.substr(colon + 3);
  const auto slash = std::min(rest.find('/'), rest.size());
  parts.authority = rest.substr(0, slash);
  parts.path = rest.substr(slash);
  return parts;
}

std::string resolved_uri(const std::string& uri) {
  if (uri.empty()) {
    throw invalid("tracking_uri", "is empty, and RUNWIRE_TRACKING_URI is not set");
  }
  std::string text = uri;
  while (!text.empty() && text.back() == '/') text.pop_back();
  const UriParts parts = parse_uri(text);
  const auto schemes = {"grpc", "grpcs", "http", "https"};
  if (std::find(schemes.begin(), schemes.end(), parts.scheme) == schemes.end()) {
    throw wrong(uri,
                "'" + parts.scheme +
                    "' is no scheme of a server. Use grpc(s)://HOST:5001 or http(s)://HOST:5000");
  }
  check(text, parts);
  return parts.scheme + "://" + parts.authority + parts.path;
}

std::vector<Endpoint> grpc_endpoints(const std::string& uri) {
  std::vector<Endpoint> endpoints;
  const UriParts parts = parse_uri(uri);
  for (const auto server : split(parts.authority, ',')) {
    endpoints.push_back(parse_endpoint(server));
    if (endpoints.back().port == 0) endpoints.back().port = kGrpcPort;
  }
  return endpoints;
}

std::string shown(const std::string& uri) {
  const auto start = uri.find("://");
  if (start == std::string::npos) return uri;
  const auto at = uri.substr(0, uri.find('/', start + 3)).rfind('@');
  const auto colon = uri.find(':', start + 3);
  if (at == std::string::npos) return uri;
  if (colon == std::string::npos || colon > at) return uri;
  return uri.substr(0, colon) + ":***" + uri.substr(at);
}

}  // namespace runwire
