#include "crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#include <nmmintrin.h>
#define RUNWIRE_HAS_SSE42 1
#endif

namespace runwire {

namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // bits reversed

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
    table[byte] = value;
  }
  return table;
}

constexpr std::array<std::uint32_t, 256> kTable = make_table();

#ifdef RUNWIRE_HAS_SSE42
__attribute__((target("sse4.2"))) std::uint32_t crc32c_by_instruction(std::string_view data) {
  std::uint64_t crc = 0xFFFFFFFF;
  while (data.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data.data(), 8);
    crc = _mm_crc32_u64(crc, word);
    data.remove_prefix(8);
  }
  auto rest = static_cast<std::uint32_t>(crc);
  for (const char one : data) rest = _mm_crc32_u8(rest, static_cast<unsigned char>(one));
  return ~rest;
}
#endif

}  // namespace

std::uint32_t crc32c_by_table(std::string_view data) {
  std::uint32_t crc = 0xFFFFFFFF;
  for (const char one : data) {
    crc = (crc >> 8) ^ kTable[(crc ^ static_cast<unsigned char>(one)) & 0xFF];
  }
  return ~crc;
}

std::uint32_t crc32c(std::string_view data) {
#ifdef RUNWIRE_HAS_SSE42
  if (__builtin_cpu_supports("sse4.2")) return crc32c_by_instruction(data);
#endif
  return crc32c_by_table(data);
}

}  // namespace runwire
