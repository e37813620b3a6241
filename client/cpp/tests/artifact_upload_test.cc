#include <gtest/gtest.h>

#include <algorithm>

#include "fake_server.h"
#include "runwire/client.h"

namespace runwire {
namespace {

constexpr std::size_t kSize = (5 << 20) + 1;

std::string some_bytes() {
  std::string made(kSize, '\0');
  for (std::size_t i = 0; i < kSize; ++i) made[i] = static_cast<char>(i * 7 + i / 251);
  return made;
}

TEST(ArtifactUpload, SendsChunksOfASizeWithinReason) {
  const std::string data = some_bytes();
  const std::vector<std::pair<std::int32_t, std::size_t>> sizes{
      {1'000'000, 1'000'000}, {0, 256 << 10}, {-5, 256 << 10}, {1 << 30, 2 << 20}};
  for (const auto& [asked, sent] : sizes) {
    FakeServer server;
    server.artifacts.chunk_bytes = asked;
    Client(server.uri()).artifacts().upload_bytes("run", "path", data);
    EXPECT_TRUE(server.artifacts.data() == data) << asked;
    const auto& chunks = server.artifacts.chunks();
    ASSERT_FALSE(chunks.empty());
    EXPECT_EQ(*std::max_element(chunks.begin(), chunks.end()), sent);
  }
}

TEST(ArtifactUpload, GoesOnFromWhatTheServerHas) {
  const std::string data = some_bytes();
  FakeServer server;
  server.artifacts.committed_size = 1'000'000;
  Client(server.uri()).artifacts().upload_bytes("run", "path", data);
  EXPECT_TRUE(server.artifacts.data() == data.substr(1'000'000));
}

TEST(ArtifactUpload, RefusesAPlaceOutsideTheBlob) {
  const std::string data = some_bytes();
  for (const std::int64_t place : {std::int64_t{-1}, static_cast<std::int64_t>(kSize) + 1}) {
    FakeServer server;
    server.artifacts.committed_size = place;
    try {
      Client(server.uri()).artifacts().upload_bytes("run", "path", data);
      FAIL() << place;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInternal);
    }
    EXPECT_TRUE(server.artifacts.chunks().empty());
  }
}

}  // namespace
}  // namespace runwire
