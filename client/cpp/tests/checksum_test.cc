#include <gtest/gtest.h>

#include <string>

#include "artifact_chunk.h"
#include "crc32c.h"
#include "runwire/error.h"
#include "sha256.h"

namespace runwire {
namespace {

// RFC 3720, section B.4.
TEST(Crc32c, IsThatOfTheStandard) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43U);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(""), 0U);
}

TEST(Crc32c, IsTheSameByTableAndByInstruction) {
  std::string data;
  for (int size = 0; size < 100; ++size) {
    EXPECT_EQ(crc32c(data), crc32c_by_table(data));
    data += static_cast<char>(size * 37);
  }
}

TEST(Sha256, IsThatOfTheStandard) {
  Sha256 hash;
  hash.update("a");
  hash.update("bc");
  EXPECT_EQ(hash.digest(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Chunk, ThatIsDamagedIsRefused) {
  v1::Chunk chunk;
  fill(chunk, 7, "some bytes");
  EXPECT_NO_THROW(check(chunk, 7));
  EXPECT_THROW(check(chunk, 8), Error);
  chunk.set_data("some bytez");
  try {
    check(chunk, 7);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.reason(), "CHECKSUM_MISMATCH");
  }
}

}  // namespace
}  // namespace runwire
