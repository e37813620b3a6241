/// @file
/// What a call can fail with.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace runwire {

/// The code of a gRPC status, see https://grpc.io/docs/guides/status-codes/.
enum class Code {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,     ///< An argument can never be right; metadata "field" names it.
  kDeadlineExceeded = 4,    ///< No answer in time. It may have happened all the same.
  kNotFound = 5,            ///< It does not exist, or (reason DELETED) is in the trash.
  kAlreadyExists = 6,       ///< The name or id is taken.
  kPermissionDenied = 7,    ///< Whoever asked is known, and may not.
  kResourceExhausted = 8,   ///< TOO_LARGE, or over a QUOTA.
  kFailedPrecondition = 9,  ///< Its state does not allow it: a finished run, a sealed tree.
  kAborted = 10,            ///< Somebody was faster: read again, then decide again.
  kOutOfRange = 11,         ///< Go on from the position that the metadata tells.
  kUnimplemented = 12,      ///< This server does not offer it.
  kInternal = 13,           ///< A fault of the server; its log has metadata "request_id".
  kUnavailable = 14,        ///< The server is away or overloaded: the same call may work later.
  kDataLoss = 15,           ///< Stored data is damaged and cannot be read.
  kUnauthenticated = 16,    ///< The server does not know who asks: the token.
};

/// As gRPC writes it: "NOT_FOUND".
std::string_view code_name(Code code);

/// Anything that went wrong between this program and its tracking server. Everything in this
/// library that fails throws it, and nothing else but std::bad_alloc; files that cannot be read or
/// written are std::filesystem::filesystem_error.
class Error : public std::runtime_error {
 public:
  using Metadata = std::map<std::string, std::string>;

  explicit Error(Code code, const std::string& message, std::string reason = {},
                 Metadata metadata = {}, std::optional<std::chrono::nanoseconds> retry_after = {});

  Code code() const noexcept { return code_; }
  /// A name of `ErrorReason` in the protos without its prefix, "RUN_SEALED". Empty where the
  /// transport failed and not the service.
  const std::string& reason() const noexcept { return details_->reason; }
  /// What the message names: "field", "key", "limit".
  const Metadata& metadata() const noexcept { return details_->metadata; }
  /// How long the server asks to be left alone.
  std::optional<std::chrono::nanoseconds> retry_after() const noexcept {
    return details_->retry_after;
  }

 private:
  struct Details {
    std::string reason;
    Metadata metadata;
    std::optional<std::chrono::nanoseconds> retry_after;
  };
  Code code_;
  std::shared_ptr<const Details> details_;  // shared, so that copying never throws
};

/// An entry of a batch that was not taken, for good; the rest of the batch was.
struct Rejection {
  std::string key;          ///< Of the metric, param, tag or input. Empty: of several.
  std::int64_t points = 0;  ///< Points dropped; 0 for a param, tag or input.
  std::string reason;       ///< FIELD_INVALID, TOO_LARGE, PARAM_CONFLICT or QUOTA.
  std::string message;      ///< For people.
};

}  // namespace runwire
