// CRC-32C (Castagnoli), RFC 3720, section B.4.
#pragma once

#include <cstdint>
#include <string_view>

namespace runwire {

std::uint32_t crc32c(std::string_view data);

// The same by table, for processors without an instruction for it.
std::uint32_t crc32c_by_table(std::string_view data);

}  // namespace runwire
