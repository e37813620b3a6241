#include "status.h"

#include <algorithm>
#include <array>
#include <utility>

#include "uri.h"
#include "wire.h"

namespace runwire {

namespace {

using Pair = std::pair<std::string, std::string>;

constexpr std::string_view kTypes = "type.googleapis.com/google.rpc.";

// The first two fields of a message, both text: an entry of a map, an Any.
bool read_pair(std::string_view data, Pair& pair) {
  WireReader reader(data);
  for (WireField field; reader.next(field);) {
    if (field.number == 1) pair.first = field.bytes;
    if (field.number == 2) pair.second = field.bytes;
  }
  return !reader.is_damaged();
}

bool read_error_info(std::string_view data, StatusDetails& details) {
  WireReader reader(data);
  for (WireField field; reader.next(field);) {
    if (field.number == 1) details.reason = field.bytes;
    if (field.number == 3) {
      Pair entry;
      if (!read_pair(field.bytes, entry)) return false;
      details.metadata.insert_or_assign(std::move(entry.first), std::move(entry.second));
    }
  }
  return !reader.is_damaged();
}

bool read_retry_info(std::string_view data, StatusDetails& details) {
  WireReader reader(data);
  for (WireField field; reader.next(field);) {
    if (field.number != 1) continue;
    std::chrono::nanoseconds delay{0};
    WireReader duration(field.bytes);
    for (WireField part; duration.next(part);) {
      const auto amount = static_cast<std::int64_t>(part.varint);
      if (part.number == 1) delay += std::chrono::seconds(amount);
      if (part.number == 2) delay += std::chrono::nanoseconds(amount);
    }
    if (duration.is_damaged()) return false;
    details.retry_after = delay;
  }
  return !reader.is_damaged();
}

bool read_detail(std::string_view data, StatusDetails& details) {
  Pair any;
  if (!read_pair(data, any)) return false;
  std::string_view kind = any.first;
  if (kind.substr(0, kTypes.size()) != kTypes) return true;
  kind.remove_prefix(kTypes.size());
  if (kind == "ErrorInfo") return read_error_info(any.second, details);
  if (kind == "RetryInfo") return read_retry_info(any.second, details);
  return true;
}

// The core, or something between us and the server, ended the call.
Error transport_error(Code code, const std::string& text, const std::string& uri) {
  const std::string place = shown(uri);
  switch (code) {
    case Code::kResourceExhausted:
      if (text.find("larger than max") == std::string::npos) break;
      return Error(code, "the message is too large for " + place + ": " + text, "TOO_LARGE");
    case Code::kUnavailable:
      return Error(code, "no Runwire server answers at " + place + " (" + text +
                             "). Is it running, is this its gRPC port (5001 unless told otherwise) "
                             "or its web address (http://HOST:5000), and does a firewall or proxy "
                             "stand between?");
    case Code::kDeadlineExceeded:
      return Error(code, place + " did not answer in time (" + text + ")");
    case Code::kUnimplemented:
      return Error(code,
                   place + " does not offer this call: another version, or no Runwire server");
    default:
      break;
  }
  return Error(code, text.empty() ? std::string(code_name(code)) : text);
}

struct ReasonCode {
  std::string_view reason;
  Code code;
};

// The codes of ErrorReason: an entry's fault inside a batch carries the reason alone.
constexpr std::array kCodes = {
    ReasonCode{"NOT_FOUND", Code::kNotFound},
    ReasonCode{"DELETED", Code::kNotFound},
    ReasonCode{"ALREADY_EXISTS", Code::kAlreadyExists},
    ReasonCode{"REQUEST_ID_REUSED", Code::kAlreadyExists},
    ReasonCode{"FIELD_INVALID", Code::kInvalidArgument},
    ReasonCode{"FILTER_SYNTAX", Code::kInvalidArgument},
    ReasonCode{"PAGE_TOKEN_MISMATCH", Code::kInvalidArgument},
    ReasonCode{"DIGEST_MISMATCH", Code::kInvalidArgument},
    ReasonCode{"CHECKSUM_MISMATCH", Code::kInvalidArgument},
    ReasonCode{"PARAM_CONFLICT", Code::kFailedPrecondition},
    ReasonCode{"RUN_SEALED", Code::kFailedPrecondition},
    ReasonCode{"BLOBS_MISSING", Code::kFailedPrecondition},
    ReasonCode{"STAGE_CHANGED", Code::kFailedPrecondition},
    ReasonCode{"TREE_SEALED", Code::kFailedPrecondition},
    ReasonCode{"ETAG_MISMATCH", Code::kAborted},
    ReasonCode{"ALIAS_MOVED", Code::kAborted},
    ReasonCode{"SEQUENCE_GAP", Code::kOutOfRange},
    ReasonCode{"OFFSET_GAP", Code::kOutOfRange},
    ReasonCode{"REVISION_AHEAD", Code::kOutOfRange},
    ReasonCode{"TOO_LARGE", Code::kResourceExhausted},
    ReasonCode{"QUOTA", Code::kResourceExhausted},
    ReasonCode{"OVERLOADED", Code::kUnavailable},
    ReasonCode{"DRAINING", Code::kUnavailable},
    ReasonCode{"STORAGE_UNAVAILABLE", Code::kUnavailable},
    ReasonCode{"DATA_DAMAGED", Code::kDataLoss},
    ReasonCode{"INTERNAL", Code::kInternal},
    ReasonCode{"UNIMPLEMENTED", Code::kUnimplemented},
};

}  // namespace

std::optional<StatusDetails> parse_status(std::string_view data) {
  StatusDetails details;
  WireReader reader(data);
  for (WireField field; reader.next(field);) {
    if (field.number == 2) details.message = field.bytes;
    if (field.number == 3 && !read_detail(field.bytes, details)) return std::nullopt;
  }
  if (reader.is_damaged()) return std::nullopt;
  return details;
}

Error error_of(const grpc::Status& status, const std::string& uri) {
  const auto code = static_cast<Code>(status.error_code());
  const auto details = parse_status(status.error_details());
  if (!details || details->reason.empty()) {
    return transport_error(code, status.error_message(), uri);
  }
  return Error(code, details->message.empty() ? status.error_message() : details->message,
               details->reason, details->metadata, details->retry_after);
}

Error error_of(const v1::Fault& fault) {
  const auto* const found = std::find_if(kCodes.begin(), kCodes.end(), [&](const ReasonCode& one) {
    return one.reason == fault.reason();
  });
  const Code code = found == kCodes.end() ? Code::kUnknown : found->code;
  return Error(code, fault.message(), fault.reason(),
               Error::Metadata(fault.metadata().begin(), fault.metadata().end()));
}

Error invalid(const std::string& field, const std::string& problem) {
  return Error(Code::kInvalidArgument, field + ": " + problem, "FIELD_INVALID", {{"field", field}});
}

}  // namespace runwire
