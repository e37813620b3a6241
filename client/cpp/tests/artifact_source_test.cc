#include "artifact_source.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "runwire/error.h"
#include "text.h"

namespace runwire {
namespace {

namespace fs = std::filesystem;

constexpr char kDigestOfAbc[] =
    "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

class Folder : public testing::Test {
 protected:
  void TearDown() override { fs::remove_all(path_); }

  std::string content(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const fs::path path_ = fs::temp_directory_path() / ("runwire-test-" + random_hex(8));
};

TEST(Source, OfBytesAndOfAStreamIsTheSame) {
  std::istringstream stream("__abc");
  stream.seekg(2);
  StreamSource of_stream(stream);
  BytesSource of_bytes("abc");
  EXPECT_EQ(of_stream.blob().digest(), kDigestOfAbc);
  EXPECT_EQ(of_bytes.blob().digest(), kDigestOfAbc);
  EXPECT_EQ(of_stream.blob().size_bytes(), 3);
  EXPECT_EQ(of_stream.read(1, 2), "bc");
  EXPECT_EQ(of_stream.read(0, 3), "abc");
  EXPECT_EQ(of_bytes.read(1, 2), "bc");
}

TEST(Source, ThatBecameShorterIsToldOf) {
  std::stringstream stream("abc");
  StreamSource source(stream);
  EXPECT_THROW(source.read(2, 2), Error);
}

using FileTest = Folder;

TEST_F(FileTest, IsReadAndHasATime) {
  fs::create_directories(path_);
  std::ofstream(path_ / "file") << "abc";
  FileSource source(path_ / "file");
  EXPECT_EQ(source.blob().digest(), kDigestOfAbc);
  EXPECT_EQ(source.read(0, 3), "abc");
  EXPECT_TRUE(source.modify_time);
}

TEST_F(FileTest, ThatIsNotThereIsToldOf) {
  EXPECT_THROW(FileSource(path_ / "nothing"), fs::filesystem_error);
  fs::create_directories(path_);
  EXPECT_THROW(FileSource{path_}, fs::filesystem_error);
}

TEST_F(FileTest, AppearsWholeOrNotAtAll) {
  const fs::path name = path_ / "sub" / "file";
  {
    AppearingFile file(name);
    file.stream() << "half";
    EXPECT_FALSE(fs::exists(name));
  }
  EXPECT_TRUE(fs::is_empty(path_ / "sub"));
  AppearingFile file(name);
  file.stream() << "whole";
  file.commit();
  EXPECT_EQ(content(name), "whole");
}

}  // namespace
}  // namespace runwire
