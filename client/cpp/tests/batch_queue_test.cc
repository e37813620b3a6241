#include "batch_queue.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace runwire {
namespace {

using std::chrono::milliseconds;

WriterOptions small() {
  WriterOptions options;
  options.max_buffered_bytes = 64 << 10;
  return options;
}

void add(BatchQueue& queue, const std::vector<Value>& values, std::int64_t step = 0) {
  queue.add(values.data(), values.size(), step, 0);
}

// Logs until nothing more is taken; how many were.
int fill(BatchQueue& queue) {
  int count = 0;
  while (queue.status().dropped_points == 0) {
    add(queue, {{"a", 1}}, count);
    ++count;
  }
  return count - 1;
}

TEST(BatchQueue, RowsOfOneShapeShareAFrame) {
  BatchQueue queue({});
  for (int step = 0; step < 3; ++step) add(queue, {{"a", 1.0 * step}, {"b", 2.0 * step}}, step);
  add(queue, {{"a", 9}}, 3);
  const auto guard = queue.guard();
  const auto batch = queue.next(guard, 0, Steady::time_point::max() - milliseconds(1));
  ASSERT_NE(batch, nullptr);
  EXPECT_EQ(batch->sequence(), 1);
  ASSERT_EQ(batch->message().frames_size(), 2);
  EXPECT_EQ(batch->message().frames(0).steps_size(), 3);
  EXPECT_EQ(batch->message().frames(0).values_size(), 6);
  EXPECT_EQ(batch->message().series_size(), 2);
  EXPECT_LE(batch->message().ByteSizeLong(), batch->bytes + 16);
}

TEST(BatchQueue, NamesAreDeclaredOnceAndBesideABatchOfAnotherStream) {
  BatchQueue queue({});
  const auto late = Steady::now() + std::chrono::hours(1);
  add(queue, {{"a", 1}});
  ASSERT_NE(queue.next(queue.guard(), 0, late), nullptr);
  add(queue, {{"a", 1}, {"b", 2}});
  const auto guard = queue.guard();
  const auto second = queue.next(guard, 1, late);
  ASSERT_NE(second, nullptr);
  ASSERT_EQ(second->message().series_size(), 1);
  EXPECT_EQ(second->message().series(0).key(), "b");
  std::vector<bool> known;
  queue.declare(guard, *second, queue.new_stream(guard), known);
  ASSERT_EQ(second->request.series_size(), 1);
  EXPECT_EQ(second->request.series(0).key(), "a");
  queue.declare(guard, *second, queue.new_stream(guard), known);
  EXPECT_EQ(second->request.series_size(), 0);
}

TEST(BatchQueue, WaitsForTheFlushIntervalBeforeItSeals) {
  WriterOptions options;
  options.flush_interval = std::chrono::hours(1);
  BatchQueue queue(options);
  add(queue, {{"a", 1}});
  const auto guard = queue.guard();
  EXPECT_EQ(queue.next(guard, 0, Steady::now()), nullptr);
  EXPECT_NE(queue.next(guard, 0, queue.due(guard, 0)), nullptr);
  EXPECT_EQ(queue.due(guard, 0), Steady::time_point::min());
  EXPECT_EQ(queue.due(guard, 1), Steady::time_point::max());
}

TEST(BatchQueue, WithoutRoomDropsTheNewestAndCounts) {
  auto options = small();
  options.when_full = WhenFull::kDrop;
  std::atomic<std::int64_t> told{0};
  options.on_dropped = [&](std::int64_t more) { told += more; };
  BatchQueue queue(options);
  const int taken = fill(queue);
  add(queue, {{"a", 1}, {"b", 2}});
  EXPECT_EQ(queue.status().dropped_points, 3);
  EXPECT_GT(taken, 2000);
  std::int64_t points = 0;
  for (std::int64_t i = 0;
       auto batch = queue.next(queue.guard(), i, Steady::now() + std::chrono::hours(1)); ++i) {
    points += batch->points;
  }
  EXPECT_EQ(points, taken);
  queue.close({});
  EXPECT_EQ(told, 3);
}

TEST(BatchQueue, WithoutRoomDropsParamsAndTagsToo) {
  auto options = small();
  options.when_full = WhenFull::kDrop;
  options.block_timeout = milliseconds(0);  // throws where it would wait
  BatchQueue queue(options);
  fill(queue);
  const auto before = queue.status().dropped_points;
  queue.add_tags({{"long", std::string(1000, 't')}, {"longer", std::string(1000, 't')}});
  queue.add_params({{"long", std::string(1000, 'p')}});
  EXPECT_EQ(queue.status().dropped_points, before + 3);
}

TEST(BatchQueue, WithoutRoomForItTakesWhatGoesAlone) {
  auto options = small();
  options.when_full = WhenFull::kDrop;
  options.block_timeout = milliseconds(0);
  BatchQueue queue(options);
  const std::string huge(100 << 10, 'x');
  queue.add_tags({{"a", huge}, {"b", huge}});
  EXPECT_EQ(queue.status().dropped_points, 1);
  queue.fail(queue.guard(), Error(Code::kNotFound, "no run", "NOT_FOUND"));
  queue.add_params({{"lr", "1"}});
  EXPECT_EQ(queue.status().dropped_points, 3);
}

TEST(BatchQueue, BlocksUntilThereIsRoom) {
  BatchQueue queue(small());
  std::atomic<bool> done{false};
  std::thread logging([&] {
    for (int i = 0; i < 4000; ++i) add(queue, {{"a", 1}}, i);
    done = true;
  });
  std::int64_t points = 0;
  for (std::int64_t sequence = 0; points < 4000; std::this_thread::yield()) {
    const auto guard = queue.guard();
    const auto batch = queue.next(guard, sequence, Steady::now());
    if (batch == nullptr) continue;
    points += batch->points;
    queue.acknowledge(guard, ++sequence);
  }
  logging.join();
  EXPECT_TRUE(done);
  EXPECT_EQ(queue.status().dropped_points, 0);
}

TEST(BatchQueue, BlockingEndsByTimeByCancellationAndByClose) {
  auto options = small();
  options.block_timeout = milliseconds(1);
  BatchQueue hasty(options);
  const auto log_forever = [](BatchQueue& queue) {
    while (true) add(queue, {{"a", 1}});
  };
  try {
    log_forever(hasty);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kDeadlineExceeded);
  }
  options = small();
  options.cancellation.emplace();
  BatchQueue patient(options);
  std::thread elsewhere([&] { options.cancellation->cancel(); });
  try {
    log_forever(patient);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kCancelled);
  }
  elsewhere.join();
  BatchQueue closed(small());
  std::thread closing([&] { closed.end(); });
  EXPECT_THROW(log_forever(closed), Error);
  closing.join();
}

TEST(BatchQueue, TheLongestTimeIsForEver) {
  auto options = small();
  options.flush_interval = milliseconds::max();
  options.block_timeout = milliseconds::max();
  BatchQueue queue(options);
  const auto waits = [](auto& future) {
    return future.wait_for(milliseconds(50)) == std::future_status::timeout;
  };
  const auto acknowledge = [&] { queue.acknowledge(queue.guard(), 1'000'000); };
  add(queue, {{"a", 1}});
  EXPECT_EQ(queue.next(queue.guard(), 0, Steady::now()), nullptr);
  auto flushed = std::async(std::launch::async, [&] { queue.flush(milliseconds::max()); });
  EXPECT_TRUE(waits(flushed));
  acknowledge();
  EXPECT_NO_THROW(flushed.get());
  auto logged = std::async(std::launch::async, [&] {
    for (int i = 0; i < 4000; ++i) add(queue, {{"a", 1}}, i);
  });
  EXPECT_TRUE(waits(logged));
  acknowledge();
  EXPECT_NO_THROW(logged.get());
}

TEST(BatchQueue, AFailureFreesWhatWasKeptAndIsTold) {
  WriterOptions options;
  std::optional<Error> told;
  options.on_error = [&](const Error& error) { told = error; };
  BatchQueue queue(options);
  add(queue, {{"a", 1}, {"b", 1}});
  queue.fail(queue.guard(), Error(Code::kNotFound, "no run", "NOT_FOUND"));
  add(queue, {{"a", 1}});
  EXPECT_EQ(queue.status().dropped_points, 3);
  EXPECT_THROW(queue.flush(milliseconds(0)), Error);
  queue.close({});
  ASSERT_TRUE(told);
  EXPECT_EQ(told->reason(), "NOT_FOUND");
}

TEST(BatchQueue, AParamWithAnotherValueGoesInABatchOfItsOwn) {
  BatchQueue queue({});
  queue.add_params({{"lr", "1"}});
  queue.add_params({{"lr", "1"}, {"x", "2"}});
  queue.add_params({{"lr", "3"}});
  const auto guard = queue.guard();
  const auto first = queue.next(guard, 0, Steady::now());
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->message().params_size(), 2);
  EXPECT_THROW(queue.add_params({{"", "1"}}), Error);
}

TEST(BatchQueue, AWideRowIsSplit) {
  BatchQueue queue({});
  std::vector<std::string> keys;
  std::vector<Value> values;
  for (int i = 0; i < 20000; ++i) keys.push_back("some/long/name/" + std::to_string(i));
  for (const auto& key : keys) values.emplace_back(key, 1);
  add(queue, values);
  const auto guard = queue.guard();
  std::int64_t points = 0;
  const auto late = Steady::now() + std::chrono::hours(1);
  for (std::int64_t i = 0; auto batch = queue.next(guard, i, late); ++i) {
    points += batch->points;
    EXPECT_LE(batch->message().ByteSizeLong(), 1U << 20);
  }
  EXPECT_EQ(points, 20000);
}

}  // namespace
}  // namespace runwire
