#include "runwire/writer.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>
#include <unordered_map>

#include "fake_server.h"
#include "runwire/client.h"

namespace runwire {
namespace {

using std::chrono::milliseconds;

WriterOptions small_batches() {
  WriterOptions options;
  options.flush_interval = milliseconds(1);
  options.max_batch_bytes = 16 << 10;
  return options;
}

// Steps 0 to count - 1 of "a" were stored once each, and in order.
void expect_series(const FakeServer& server, int count) {
  const auto points = server.metrics.points();
  ASSERT_EQ(points.size(), static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    const auto& point = points[static_cast<std::size_t>(i)];
    ASSERT_EQ(point.step, i);
    ASSERT_EQ(point.value, 0.5 * i);
  }
}

void log_series(Writer& writer, int count) {
  for (int i = 0; i < count; ++i) writer.log_metric("a", 0.5 * i, i);
}

TEST(Writer, LogsAllKindsOfMaps) {
  FakeServer server;
  const Client client(server.uri());
  auto writer = client.writer("run");
  writer.log({{"a", 1}, {"b", 2}}, 1);
  writer.log(std::map<std::string, double>{{"a", 3}, {"b", 4}}, 2);
  writer.log(std::unordered_map<std::string, float>{{"a", 5.0F}}, 3);
  std::map<std::string, double> many;
  for (int i = 0; i < 100; ++i) many["key/" + std::to_string(i)] = i;
  writer.log(many, 4);
  writer.log_params({{"lr", "0.1"}});
  writer.close();
  EXPECT_EQ(server.metrics.points().size(), 105U);
  EXPECT_EQ(server.metrics.params().at("lr"), "0.1");
}

TEST(Writer, GoesOnThroughCutsWithoutLossOrRepetition) {
  FakeServer server;
  server.metrics.cut_after = [](int stream) { return stream < 30 ? stream % 4 : 1 << 30; };
  auto writer = Client(server.uri()).writer("run", small_batches());
  log_series(writer, 50'000);
  writer.flush();
  expect_series(server, 50'000);
  EXPECT_EQ(server.metrics.streams(), 30);
}

TEST(Writer, OpensAnotherStreamWhenAServerRotatesThem) {
  FakeServer server;
  server.metrics.close_after = [](int stream) { return stream < 4 ? 2 : 1 << 30; };
  auto writer = Client(server.uri()).writer("run", small_batches());
  log_series(writer, 40'000);
  writer.close();
  expect_series(server, 40'000);
  EXPECT_EQ(server.metrics.streams(), 4);
}

TEST(Writer, SendsOneByOneWhereStreamsDoNotPass) {
  FakeServer server;
  server.metrics.refuse_stream = [](int) { return grpc::Status(grpc::UNKNOWN, "of a proxy"); };
  auto writer = Client(server.uri()).writer("run", small_batches());
  log_series(writer, 5'000);
  writer.close();
  expect_series(server, 5'000);
  EXPECT_GT(server.metrics.calls(), 1);
}

TEST(Writer, WaitsForAServerThatIsOverloaded) {
  FakeServer server;
  server.metrics.refuse_stream = [](int stream) {
    return stream < 4 ? failure(grpc::UNAVAILABLE, "OVERLOADED", 1) : grpc::Status::OK;
  };
  auto writer = Client(server.uri()).writer("run");
  log_series(writer, 10);
  writer.close();
  expect_series(server, 10);
}

// Batches of a stream that is gone are stored after the next one has opened.
TEST(Writer, GoesOnAfterWhatAnOlderStreamBrought) {
  FakeServer server;
  server.metrics.acknowledges = [](int stream) { return stream > 1; };
  server.metrics.cut_after = [](int stream) { return stream == 1 ? 1 : 1 << 30; };
  server.metrics.overlooks = [](int stream) { return stream == 2 ? 2 : 0; };
  server.metrics.refuse_stream = [&](int stream) {
    server.metrics.advice.set_max_unacked_batches(stream == 2 ? 1 : 8);
    return grpc::Status::OK;
  };
  auto writer = Client(server.uri()).writer("run");
  for (int i = 0; i < 2; ++i) {
    writer.log_metric("a", 0.5 * i, i);
    EXPECT_THROW(writer.flush(milliseconds(0)), Error);  // a batch of its own
  }
  writer.flush(std::chrono::seconds(20));
  writer.log_metric("a", 0.5 * 2, 2);
  writer.close(std::chrono::seconds(20));
  expect_series(server, 3);
  EXPECT_EQ(server.metrics.streams(), 2);
}

TEST(Writer, ManyThreadsLogAtOnce) {
  FakeServer server;
  auto writer = Client(server.uri()).writer("run", small_batches());
  std::vector<std::thread> threads;
  for (int number = 0; number < 4; ++number) {
    threads.emplace_back([&, number] {
      const std::string own = "thread/" + std::to_string(number);
      for (int i = 0; i < 2'000; ++i) writer.log({{own, 1.0 * i}, {"shared", 1.0 * i}}, i);
    });
  }
  for (auto& one : threads) one.join();
  writer.close();
  std::map<std::string, std::int64_t> next;
  for (const auto& point : server.metrics.points()) {
    const std::int64_t due = next[point.key]++;
    ASSERT_TRUE(point.key == "shared" || point.step == due);
  }
  EXPECT_EQ(next["shared"], 8'000);
  EXPECT_EQ(next["thread/3"], 2'000);
}

TEST(Writer, ARunThatIsOverEndsItAndIsTold) {
  FakeServer server;
  server.metrics.refuse_stream = [](int) {
    return failure(grpc::FAILED_PRECONDITION, "RUN_SEALED");
  };
  WriterOptions options;
  std::atomic<int> told{0};
  options.on_error = [&](const Error& error) { told += error.reason() == "RUN_SEALED" ? 1 : 100; };
  auto writer = Client(server.uri()).writer("run", options);
  log_series(writer, 10);
  EXPECT_THROW(writer.flush(), Error);
  writer.log({{"a", 1}}, 1);
  EXPECT_THROW(writer.close(), Error);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(writer.status().dropped_points, 11);
  EXPECT_EQ(writer.status().error->reason(), "RUN_SEALED");
  EXPECT_THROW(writer.log({{"a", 1}}, 1), Error);
}

TEST(Writer, TellsOfRejectionsAndOfTheWishToStop) {
  FakeServer server;
  server.metrics.rejected_key = "bad";
  server.metrics.advice.set_stop_requested(true);
  WriterOptions options;
  std::atomic<int> stops{0};
  std::vector<Rejection> rejections;
  options.on_stop_requested = [&] { ++stops; };
  options.on_rejection = [&](const Rejection& one) { rejections.push_back(one); };
  auto writer = Client(server.uri()).writer("run", options);
  writer.log({{"good", 1}, {"bad", 2}}, 1);
  writer.close();
  EXPECT_TRUE(writer.stop_requested());
  EXPECT_EQ(stops, 1);
  ASSERT_EQ(rejections.size(), 1U);
  EXPECT_EQ(rejections[0].key, "bad");
  EXPECT_EQ(rejections[0].reason, "FIELD_INVALID");
  EXPECT_EQ(writer.status().rejections.size(), 1U);
  EXPECT_EQ(server.metrics.points().size(), 1U);
}

TEST(Writer, CanBeClosedByItsCallback) {
  FakeServer server;
  server.metrics.rejected_key = "bad";
  server.metrics.advice.set_stop_requested(true);
  WriterOptions options;
  std::atomic<int> rejections{0};
  std::atomic<bool> closed{false};
  std::atomic<Writer*> itself{nullptr};
  options.on_rejection = [&](const Rejection&) { ++rejections; };
  options.on_stop_requested = [&] {
    while (itself == nullptr) std::this_thread::yield();
    itself.load()->close();
    closed = true;
  };
  {
    auto writer = Client(server.uri()).writer("run", options);
    writer.log({{"good", 1}, {"bad", 2}}, 1);
    itself = &writer;
    writer.flush();
  }
  EXPECT_TRUE(closed);
  EXPECT_EQ(rejections, 1);
  EXPECT_EQ(server.metrics.points().size(), 1U);
}

TEST(Writer, FlushAndCloseKeepTheirTime) {
  FakeServer server;
  server.metrics.hold(true);
  auto writer = Client(server.uri()).writer("run");
  log_series(writer, 10);
  try {
    writer.flush(milliseconds(20));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kDeadlineExceeded);
  }
  EXPECT_THROW(writer.close(milliseconds(20)), Error);
  EXPECT_EQ(writer.status().dropped_points, 10);
}

TEST(Writer, HeedsTheServersSizeAndWindow) {
  FakeServer server;
  server.metrics.advice.set_max_batch_bytes(20'000);
  server.metrics.advice.set_max_unacked_batches(1);
  auto writer = Client(server.uri()).writer("run");
  log_series(writer, 1);
  writer.flush();
  for (int i = 1; i < 20'000; ++i) writer.log_metric("a", 0.5 * i, i);
  writer.close();
  expect_series(server, 20'000);
  EXPECT_LE(server.metrics.largest_batch(), 20'100);
}

TEST(Writer, KeepsTheServersPaceAndGoesOnByItself) {
  FakeServer server;
  server.metrics.advice.mutable_min_interval()->set_nanos(5'000'000);
  auto options = small_batches();
  options.flush_interval = std::chrono::hours(1);
  auto writer = Client(server.uri()).writer("run", options);
  log_series(writer, 20'000);
  writer.close(std::chrono::seconds(14));  // a heartbeat would be the next to wake it
  expect_series(server, 20'000);
}

TEST(Writer, IsEndedByItsDestructor) {
  FakeServer server;
  {
    auto writer = Client(server.uri()).writer("run");
    log_series(writer, 100);
    Writer moved = std::move(writer);
  }
  expect_series(server, 100);
}

}  // namespace
}  // namespace runwire
