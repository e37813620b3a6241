#include "bounded.h"

#include <gtest/gtest.h>

namespace runwire {
namespace {

using std::chrono::milliseconds;

TEST(Bounded, CanBeAddedToNow) {
  for (const auto time : {milliseconds::max(), milliseconds::min(), milliseconds(0)}) {
    const auto now = std::chrono::steady_clock::now();
    EXPECT_GE(now + bounded(time), now);
    const auto date = std::chrono::system_clock::now();
    EXPECT_GE(date + bounded(time), date);
  }
  EXPECT_GT(bounded(milliseconds::max()), std::chrono::hours(24 * 365));
  EXPECT_EQ(bounded(milliseconds(1234)), milliseconds(1234));
  EXPECT_EQ(bounded(milliseconds(-1)), milliseconds(0));
}

}  // namespace
}  // namespace runwire
