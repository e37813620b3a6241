#include "connect.h"

#include <arpa/inet.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <netdb.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <iterator>

#include "discover.h"
#include "runwire/error.h"
#include "status.h"
#include "uri.h"
#include "version.h"

namespace runwire {

namespace {

constexpr int kMaxMessageBytes = 16 << 20;

// Reference: https://grpc.github.io/grpc/core/group__grpc__arg__keys.html
grpc::ChannelArguments arguments(const Endpoint& first) {
  grpc::ChannelArguments made;
  made.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  made.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  made.SetMaxReceiveMessageSize(kMaxMessageBytes);
  made.SetMaxSendMessageSize(kMaxMessageBytes);
  // A server that comes back is found within a call's retries, not after two minutes.
  made.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  made.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  made.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);  // also how long a connection may take
  // Every address is used in turn; one that does not answer is passed over.
  made.SetServiceConfigJSON(R"({"loadBalancingConfig": [{"round_robin": {}}]})");
  // A name whose addresses all fail is looked up again: by default every 30 s.
  made.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 5'000);
  // Calls are tried again by us, from the method's idempotency level: one policy, not two.
  made.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // Clients of one program do not share what one of them has closed or worn out.
  made.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  made.SetUserAgentPrefix(std::string("runwire-cpp/") + kVersion);
  // Addresses have no name of their own: that of the first server is on all certificates.
  made.SetString(GRPC_ARG_DEFAULT_AUTHORITY, first.text());
  return made;
}

std::shared_ptr<grpc::ChannelCredentials> tls(const std::string& ca_file) {
  grpc::SslCredentialsOptions options;
  if (!ca_file.empty()) {
    std::ifstream file(ca_file, std::ios::binary);
    if (!file) throw invalid("RUNWIRE_CA_FILE", ca_file + ": " + std::strerror(errno));
    options.pem_root_certs.assign(std::istreambuf_iterator<char>(file), {});
  }
  return grpc::SslCredentials(options);
}

// Every address of a server; none where nobody knows it now.
std::vector<Endpoint> look_up(const Endpoint& server) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  std::vector<Endpoint> addresses;
  if (getaddrinfo(server.host.c_str(), nullptr, &hints, &found) != 0) return addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (getnameinfo(one->ai_addr, one->ai_addrlen, text.data(), text.size(), nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      addresses.push_back({text.data(), server.port});
    }
  }
  freeaddrinfo(found);
  return addresses;
}

// What gRPC takes. One server goes by its name, which gRPC looks up again whenever a connection is
// lost; a list has to be of addresses, and of one family, in which IPv4 has its place.
// Reference: https://github.com/grpc/grpc/blob/master/doc/naming.md
std::string target(const std::vector<Endpoint>& servers) {
  if (servers.size() == 1) return servers[0].text();
  std::vector<Endpoint> addresses;
  for (const auto& server : servers) {
    for (auto& one : look_up(server)) addresses.push_back(std::move(one));
  }
  if (addresses.empty()) throw Error(Code::kUnavailable, "no server has an address");
  const auto is_v6 = [](const Endpoint& one) { return one.host.find(':') != std::string::npos; };
  const bool mapped = std::any_of(addresses.begin(), addresses.end(), is_v6);
  std::string list = mapped ? "ipv6:" : "ipv4:";
  for (auto& one : addresses) {
    if (mapped && !is_v6(one)) one.host = "::ffff:" + one.host;
    if (list.back() != ':') list += ',';
    list += one.text();
  }
  return list;
}

}  // namespace

std::shared_ptr<grpc::Channel> connect(const Settings& settings, const Until& until) {
  const std::string scheme = parse_uri(settings.uri).scheme;
  const bool secure = scheme == "grpcs" || scheme == "https";
  const bool is_web = scheme == "http" || scheme == "https";
  const auto servers = is_web ? std::vector{discover(settings.uri, settings.ca_file, until)}
                              : grpc_endpoints(settings.uri);
  const auto credentials = secure ? tls(settings.ca_file) : grpc::InsecureChannelCredentials();
  return grpc::CreateCustomChannel(target(servers), credentials, arguments(servers.front()));
}

}  // namespace runwire
