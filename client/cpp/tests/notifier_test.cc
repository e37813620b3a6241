#include "notifier.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace runwire {
namespace {

TEST(Notifier, CallsInOrderAndBeforeItEnds) {
  std::vector<int> called;
  {
    Notifier notifier;
    for (int i = 0; i < 3; ++i) notifier.post([&, i] { called.push_back(i); });
  }
  EXPECT_EQ(called, (std::vector<int>{0, 1, 2}));
}

TEST(Notifier, OutlivesWhatACallbackThrows) {
  bool called = false;
  Notifier notifier;
  notifier.post([] { throw std::runtime_error("of the user"); });
  notifier.post([&] { called = true; });
  notifier.close();
  EXPECT_TRUE(called);
}

TEST(Notifier, CanBeClosedByACallback) {
  std::atomic<int> called{0};
  Notifier notifier;
  notifier.post([&] {
    notifier.close();
    ++called;
  });
  while (called == 0) std::this_thread::yield();
  notifier.post([&] { ++called; });
  notifier.close();
  EXPECT_EQ(called, 1);
}

}  // namespace
}  // namespace runwire
