#include "uri.h"

#include <gtest/gtest.h>

#include "runwire/error.h"

namespace runwire {
namespace {

std::string joined(const std::string& uri) {
  std::string all;
  for (const auto& one : grpc_endpoints(uri)) all += one.text() + " ";
  return all;
}

TEST(Uri, ServersHaveTheUsualPort) {
  EXPECT_EQ(joined("grpc://ada"), "ada:5001 ");
  EXPECT_EQ(joined("grpcs://ada,bob:6001"), "ada:5001 bob:6001 ");
  EXPECT_EQ(joined("grpc://[::1]:7,[fe80::2]"), "[::1]:7 [fe80::2]:5001 ");
}

TEST(Uri, IsResolved) {
  EXPECT_EQ(resolved_uri("GRPC://ada:5001/"), "grpc://ada:5001");
  EXPECT_EQ(resolved_uri("https://ada/runwire/"), "https://ada/runwire");
}

TEST(Uri, ThatCanNeverWorkIsRefused) {
  for (const char* uri :
       {"", "ada:5000", "grpc://", "grpc://ada/path", "http://a,b", "grpc://ada:0", "grpc://ada:x",
        "mysql://ada", "./folder", "grpc://[::1"}) {
    try {
      resolved_uri(uri);
      FAIL() << uri;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument) << uri;
      EXPECT_EQ(error.metadata().at("field"), "tracking_uri") << uri;
    }
  }
}

TEST(Uri, PasswordsAreNotShown) {
  EXPECT_EQ(shown("http://ana:secret@host:5000"), "http://ana:***@host:5000");
  EXPECT_EQ(shown("http://host:5000/a@b"), "http://host:5000/a@b");
  EXPECT_EQ(shown("grpc://ada,bob"), "grpc://ada,bob");
}

}  // namespace
}  // namespace runwire
