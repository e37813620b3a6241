#include "discover.h"

#include <google/protobuf/util/json_util.h>

#include "http_get.h"
#include "runwire/error.h"
#include "runwire/v1/server_service.pb.h"
#include "status.h"

namespace runwire {

namespace {

constexpr char kPath[] = "/api/v1/server";

Error not_runwire(const std::string& uri, const std::string& answer) {
  return Error(Code::kInvalidArgument,
               uri + " is a web server, but not Runwire's (GET " + kPath + ": " + answer +
                   "). Is it an mlflow server, or a proxy in front? `runwire server` starts ours; "
                   "grpc://HOST:5001 goes to its gRPC port directly",
               "FIELD_INVALID", {{"field", "tracking_uri"}});
}

bool is_away(int status) {
  return status == 429 || status == 502 || status == 503 || status == 504;
}

HttpAnswer ask(const std::string& uri, const UriParts& parts, const std::string& ca_file,
               const Until& until) {
  const bool secure = parts.scheme == "https";
  Endpoint server = parse_endpoint(parts.authority);
  if (server.port == 0) server.port = secure ? 443 : 80;
  try {
    return http_get(server, parts.path + kPath, secure, ca_file, until);
  } catch (const Error& error) {
    if (error.code() != Code::kUnavailable) throw;
    throw Error(Code::kUnavailable, "nothing answers at " + uri + " (" + error.what() +
                                        "). Is the server running there, and is this its web port "
                                        "(5000 unless told otherwise)?");
  }
}

}  // namespace

Endpoint seen_from(const std::string& grpc_endpoint, const std::string& host) {
  Endpoint found = parse_endpoint(grpc_endpoint);
  // The server listens everywhere; where we came is one.
  if (found.host.empty() || found.host == "0.0.0.0" || found.host == "::") found.host = host;
  if (found.port == 0) found.port = kGrpcPort;
  return found;
}

Endpoint discover(const std::string& uri, const std::string& ca_file, const Until& until) {
  const UriParts parts = parse_uri(uri);
  const HttpAnswer answer = ask(shown(uri), parts, ca_file, until);
  const std::string status = std::to_string(answer.status);
  if (is_away(answer.status)) throw Error(Code::kUnavailable, shown(uri) + " answers " + status);
  if (answer.status != 200) throw not_runwire(shown(uri), status);
  v1::GetServerInfoResponse info;
  google::protobuf::util::JsonParseOptions lenient;
  lenient.ignore_unknown_fields = true;
  if (!google::protobuf::util::JsonStringToMessage(answer.body, &info, lenient).ok()) {
    throw not_runwire(shown(uri), "no JSON");
  }
  if (info.grpc_endpoint().empty()) throw not_runwire(shown(uri), "other JSON, or no gRPC port");
  return seen_from(info.grpc_endpoint(), parse_endpoint(parts.authority).host);
}

}  // namespace runwire
