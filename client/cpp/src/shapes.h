// The key sets that log() was called with, found again in some nanoseconds.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runwire/v1/metric.pb.h"

namespace runwire {

using Value = std::pair<std::string_view, double>;

// One key set, in the order of a call.
struct Shape : std::enable_shared_from_this<Shape> {
  std::vector<std::string> keys;
  std::vector<std::uint32_t> ids;
  // Of one row on the wire, and of what a frame of it takes besides: its names and lengths.
  std::size_t row_bytes = 0;
  std::size_t frame_bytes = 0;
  // The one that was logged after it last time, of those that are remembered.
  Shape* successor = nullptr;
  // Its frame in the open batch, where it has one.
  v1::Frame* frame = nullptr;
  // The last stream on which all its names were declared.
  std::uint64_t known_on = 0;

  bool is(const Value* values, std::size_t count) const {
    if (count != keys.size()) return false;
    for (std::size_t i = 0; i < count; ++i) {
      if (values[i].first != keys[i]) return false;
    }
    return true;
  }
};

// Not safe for threads.
class Shapes {
 public:
  // So many are remembered: who logs another set of keys each time keeps no memory of them. One
  // that somebody still shares lives on.
  static constexpr std::size_t kMost = 10'000;

  // Throws Error for keys that can never be right: empty, too long, no UTF-8, twice in a call.
  Shape& find(const Value* values, std::size_t count) {
    Shape* const guess = last_ == nullptr ? nullptr : last_->successor;
    if (guess != nullptr && guess->is(values, count)) {
      last_ = guess;
      return *guess;
    }
    return look_up(values, count);
  }

  // Of an id, which are 1, 2, 3 ….
  const std::string& name(std::uint32_t id) const { return *names_[id - 1]; }
  std::size_t size() const { return names_.size(); }

 private:
  Shape& look_up(const Value* values, std::size_t count);
  std::shared_ptr<Shape> make(const Value* values, std::size_t count);
  std::uint32_t id_of(const std::string& key);

  Shape* last_ = nullptr;
  std::unordered_multimap<std::size_t, std::shared_ptr<Shape>> by_hash_;
  std::unordered_map<std::string, std::uint32_t> ids_;
  std::vector<const std::string*> names_;
};

}  // namespace runwire
