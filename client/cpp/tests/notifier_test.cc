#include "notifier.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
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

// What it does not keep is gone when post() returns.
bool is_closed(Notifier& notifier) {
  const auto kept = std::make_shared<int>();
  notifier.post([kept] {});
  return kept.use_count() == 1;
}

TEST(Notifier, KnowsItsCallWhileAnotherThreadCloses) {
  bool was_calling = false;
  bool was_closed = false;
  Notifier notifier;
  EXPECT_FALSE(notifier.is_calling());
  notifier.post([&] {
    while (!is_closed(notifier)) std::this_thread::yield();
    was_calling = notifier.is_calling();
    notifier.close();
    was_closed = true;
  });
  notifier.close();
  EXPECT_TRUE(was_calling);
  EXPECT_TRUE(was_closed);
  EXPECT_FALSE(notifier.is_calling());
}

TEST(Notifier, CanBeDestroyedByTheLastOfItsCalls) {
  const auto is_gone = std::make_shared<std::promise<void>>();
  std::shared_ptr<Notifier> notifier(new Notifier, [is_gone](const Notifier* one) {
    delete one;
    is_gone->set_value();
  });
  std::promise<void> may_end;
  notifier->post([kept = notifier, &may_end] { may_end.get_future().wait(); });
  notifier.reset();
  may_end.set_value();
  EXPECT_EQ(is_gone->get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
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
