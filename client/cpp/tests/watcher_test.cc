#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "fake_server.h"
#include "runwire/model_watcher.h"

namespace runwire {
namespace {

constexpr std::chrono::seconds kLong{20};

// What the callback told, as versions; 0: none.
class Changes {
 public:
  ModelWatcher::OnChange callback() {
    return [this](const ModelChange& change) {
      const std::lock_guard guard(lock_);
      versions_.push_back(change.now ? change.now->version() : 0);
      changed_.notify_all();
    };
  }
  bool wait_for(std::int64_t version) {
    std::unique_lock guard(lock_);
    return changed_.wait_for(guard, kLong,
                             [&] { return !versions_.empty() && versions_.back() == version; });
  }
  std::vector<std::int64_t> versions() {
    const std::lock_guard guard(lock_);
    return versions_;
  }

 private:
  std::mutex lock_;
  std::condition_variable changed_;
  std::vector<std::int64_t> versions_;
};

TEST(ModelWatcher, TellsOfChangesThroughCuts) {
  FakeServer server;
  server.registry.set_version(1);
  Changes changes;
  ModelWatcher watcher(Client(server.uri()), {"fraud@champion"}, changes.callback());
  ASSERT_TRUE(watcher.wait_ready(std::chrono::milliseconds::max()));
  EXPECT_EQ(watcher.get("fraud@champion").version(), 1);
  EXPECT_TRUE(changes.wait_for(1));
  server.registry.set_version(2);
  EXPECT_TRUE(changes.wait_for(2));
  server.registry.cut();
  server.registry.set_version(3);
  EXPECT_TRUE(changes.wait_for(3));
  server.registry.set_version(0);
  EXPECT_TRUE(changes.wait_for(0));
  EXPECT_EQ(changes.versions(), (std::vector<std::int64_t>{1, 2, 3, 0}));
  EXPECT_THROW(watcher.get("fraud@champion"), Error);
}

TEST(ModelWatcher, ServesItsLastAnswerWithoutAServer) {
  FakeServer server;
  server.registry.set_version(4);
  ModelWatcher watcher(Client(server.uri()), {"fraud@champion"});
  ASSERT_TRUE(watcher.wait_ready(kLong));
  server.stop();
  while (watcher.connected()) std::this_thread::yield();
  EXPECT_EQ(watcher.get("fraud@champion").version(), 4);
  EXPECT_TRUE(watcher.age());
  watcher.close();
  EXPECT_EQ(watcher.get("fraud@champion").version(), 4);
}

TEST(ModelWatcher, SaysThatNothingWasHeard) {
  std::string gone;
  { gone = FakeServer().uri(); }
  ModelWatcher watcher(Client(gone), {"fraud@champion"});
  EXPECT_FALSE(watcher.wait_ready(std::chrono::milliseconds(1)));
  EXPECT_FALSE(watcher.age());
  try {
    watcher.get("fraud@champion");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnavailable);
  }
  EXPECT_THROW(watcher.get("other@champion"), Error);
}

TEST(ModelWatcher, CanBeClosedByItsCallback) {
  FakeServer server;
  server.registry.set_version(1);
  std::atomic<int> told{0};
  std::atomic<ModelWatcher*> itself{nullptr};
  const std::vector<std::string> references{"fraud@champion", "fraud@other", "fraud/1"};
  {
    ModelWatcher watcher(Client(server.uri()), references, [&](const ModelChange&) {
      while (itself == nullptr) std::this_thread::yield();
      itself.load()->close();
      ++told;
    });
    itself = &watcher;
    while (told == 0) std::this_thread::yield();
  }
  EXPECT_EQ(told, 1);
}

// What the callback holds lives until it returns.
TEST(ModelWatcher, CanBeDestroyedByItsCallback) {
  struct Held {
    std::promise<void> is_made;
    std::unique_ptr<ModelWatcher> watcher;
    std::weak_ptr<int> token;
    std::promise<bool> is_alive;
  } held;
  FakeServer server;
  server.registry.set_version(1);
  auto token = std::make_shared<int>();
  held.token = token;
  held.watcher = std::make_unique<ModelWatcher>(
      Client(server.uri()), std::vector<std::string>{"fraud@champion", "fraud/1"},
      [pointer = &held, token](const ModelChange&) {
        Held& all = *pointer;
        all.is_made.get_future().wait();
        all.watcher.reset();
        all.is_alive.set_value(!all.token.expired());
      });
  token.reset();
  held.is_made.set_value();
  EXPECT_TRUE(held.is_alive.get_future().get());
  while (!held.token.expired()) std::this_thread::yield();
}

TEST(ModelWatcher, RefusesWhatCanNeverMeanAnything) {
  const Client client("grpc://127.0.0.1:1");
  for (const char* wrong : {"", "fraud", "@champion", "fraud@", "/1"}) {
    EXPECT_THROW(ModelWatcher(client, {wrong}), Error) << wrong;
  }
  EXPECT_THROW(ModelWatcher(client, {}), Error);
}

}  // namespace
}  // namespace runwire
