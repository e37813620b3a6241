#include "settings.h"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <vector>

#include "status.h"
#include "uri.h"

namespace runwire {

namespace {

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string either(const std::string& given, const char* name) {
  return given.empty() ? variable(name) : given;
}

std::string login_name() {
  for (const char* name : {"RUNWIRE_USER", "LOGNAME", "USER", "LNAME", "USERNAME"}) {
    if (auto found = variable(name); !found.empty()) return found;
  }
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  getpwuid_r(getuid(), &entry, buffer.data(), buffer.size(), &found);
  return found == nullptr ? "" : found->pw_name;
}

std::chrono::milliseconds timeout() {
  const std::string text = variable("RUNWIRE_TIMEOUT_S");
  if (text.empty()) return Settings().timeout;
  char* end = nullptr;
  const double seconds = std::strtod(text.c_str(), &end);
  if (*end != '\0' || !(seconds > 0 && seconds < 1e6)) {
    throw invalid("RUNWIRE_TIMEOUT_S", "'" + text + "' is no number of seconds above 0");
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

}  // namespace

Settings settings(const std::string& uri, const ClientOptions& options) {
  Settings found;
  found.uri = resolved_uri(either(uri, "RUNWIRE_TRACKING_URI"));
  found.token = either(options.token, "RUNWIRE_TOKEN");
  found.ca_file = either(options.ca_file, "RUNWIRE_CA_FILE");
  found.workspace = either(options.workspace, "RUNWIRE_WORKSPACE");
  found.user = options.user.empty() ? login_name() : options.user;
  found.timeout = options.timeout ? *options.timeout : timeout();
  return found;
}

}  // namespace runwire
