// Text as it goes into headers and messages.
#pragma once

#include <string>
#include <string_view>

namespace runwire {

// protobuf's parsers refuse a message with other text, and a batch with it.
bool is_utf8(std::string_view text);

// Percent-encoded but for letters, digits, "_.-~" and space: header values are ASCII.
std::string percent_encoded(std::string_view text);

// `bytes` random ones as lower-case hex digits.
std::string random_hex(std::size_t bytes);

}  // namespace runwire
