#include "text.h"

#include <random>

namespace runwire {

namespace {

constexpr char kHex[] = "0123456789abcdef";

// Length of the sequence at the front, 0 where it is none. Table 3-7 of the Unicode standard.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const auto is_tail = [&](std::size_t at, unsigned low = 0x80, unsigned high = 0xBF) {
    return at < text.size() && byte(at) >= low && byte(at) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return is_tail(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : 0xBF;
    return is_tail(1, low, high) && is_tail(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80;
    const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
    return is_tail(1, low, high) && is_tail(2) && is_tail(3) ? 4 : 0;
  }
  return 0;
}

bool is_unreserved(unsigned char byte) {
  return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
         (byte >= 'a' && byte <= 'z') || byte == '_' || byte == '.' || byte == '-' || byte == '~' ||
         byte == ' ';
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char one : text) {
    const auto byte = static_cast<unsigned char>(one);
    if (is_unreserved(byte)) {
      out += one;
    } else {
      out += {'%', static_cast<char>(std::toupper(kHex[byte >> 4])),
              static_cast<char>(std::toupper(kHex[byte & 15]))};
    }
  }
  return out;
}

std::string random_hex(std::size_t bytes) {
  thread_local std::random_device source;
  std::string out;
  for (std::size_t i = 0; i < bytes; ++i) {
    const unsigned byte = source() & 0xFF;
    out += {kHex[byte >> 4], kHex[byte & 15]};
  }
  return out;
}

}  // namespace runwire
