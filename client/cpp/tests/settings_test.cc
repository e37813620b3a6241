#include "settings.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "runwire/error.h"

namespace runwire {
namespace {

class SettingsTest : public testing::Test {
 protected:
  void TearDown() override {
    for (const char* name : {"RUNWIRE_TRACKING_URI", "RUNWIRE_TOKEN", "RUNWIRE_TIMEOUT_S"}) {
      unsetenv(name);
    }
  }
};

TEST_F(SettingsTest, WhatIsLeftEmptyIsThatOfTheEnvironment) {
  setenv("RUNWIRE_TRACKING_URI", "grpc://ada", 1);
  setenv("RUNWIRE_TOKEN", "secret", 1);
  setenv("RUNWIRE_TIMEOUT_S", "2.5", 1);
  const auto found = settings("", {});
  EXPECT_EQ(found.uri, "grpc://ada");
  EXPECT_EQ(found.token, "secret");
  EXPECT_EQ(found.timeout, std::chrono::milliseconds(2500));
}

TEST_F(SettingsTest, ArgumentsComeFirst) {
  setenv("RUNWIRE_TOKEN", "secret", 1);
  ClientOptions options;
  options.token = "other";
  options.timeout = std::chrono::seconds(1);
  EXPECT_EQ(settings("grpc://bob", options).token, "other");
  EXPECT_EQ(settings("grpc://bob", options).timeout, std::chrono::seconds(1));
}

TEST_F(SettingsTest, AVariableThatIsWrongIsNamed) {
  for (const char* wrong : {"soon", "0", "-1", "nan", "1e9", "3 s"}) {
    setenv("RUNWIRE_TIMEOUT_S", wrong, 1);
    try {
      settings("grpc://ada", {});
      FAIL() << wrong;
    } catch (const Error& error) {
      EXPECT_EQ(error.metadata().at("field"), "RUNWIRE_TIMEOUT_S");
    }
  }
}

}  // namespace
}  // namespace runwire
