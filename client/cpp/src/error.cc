#include "runwire/error.h"

#include <array>
#include <utility>

namespace runwire {

namespace {

constexpr std::array<std::string_view, 17> kNames = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

}  // namespace

std::string_view code_name(Code code) {
  const auto number = static_cast<std::size_t>(code);
  return number < kNames.size() ? kNames[number] : "UNKNOWN";
}

Error::Error(Code code, const std::string& message, std::string reason, Metadata metadata,
             std::optional<std::chrono::nanoseconds> retry_after)
    : std::runtime_error(message),
      code_(code),
      details_(std::make_shared<const Details>(
          Details{std::move(reason), std::move(metadata), retry_after})) {}

}  // namespace runwire
