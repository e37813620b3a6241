#include "text.h"

#include <gtest/gtest.h>

namespace runwire {
namespace {

TEST(Text, Utf8IsKnown) {
  for (const char* good : {"", "plain", "größe", "ключ", "日本語", "🏃", "\x7F"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const char* bad : {"\x80", "\xC3", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80",
                          "\xF4\x90\x80\x80", "\xFF", "a\xF0\x9F\x8F"}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
  }
}

TEST(Text, HeaderValuesAreAscii) {
  EXPECT_EQ(percent_encoded("ana_b-1.~ x"), "ana_b-1.~ x");
  EXPECT_EQ(percent_encoded("ö%/"), "%C3%B6%25%2F");
}

TEST(Text, RandomIdsAreHexDigitsAndDiffer) {
  const std::string one = random_hex(16);
  EXPECT_EQ(one.size(), 32U);
  EXPECT_EQ(one.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_NE(one, random_hex(16));
}

}  // namespace
}  // namespace runwire
