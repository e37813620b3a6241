#include "shapes.h"

#include <functional>
#include <unordered_set>

#include "status.h"
#include "text.h"

namespace runwire {

namespace {

// More than any server takes: a longer key would cost the batch and not only itself.
constexpr std::size_t kMaxKeyBytes = 4096;
// Tags and lengths on the wire, at most: of a frame with its columns, of an id, of a name.
constexpr std::size_t kFrameOverhead = 40;
constexpr std::size_t kIdBytes = 5;
constexpr std::size_t kNameOverhead = 16;

std::size_t hash_of(const Value* values, std::size_t count) {
  std::size_t hash = count;
  for (std::size_t i = 0; i < count; ++i) {
    hash = hash * 0x9E3779B97F4A7C15U + std::hash<std::string_view>()(values[i].first);
  }
  return hash;
}

void check(const Value* values, std::size_t count) {
  std::unordered_set<std::string_view> seen;
  for (std::size_t i = 0; i < count; ++i) {
    const auto key = values[i].first;
    if (key.empty() || key.size() > kMaxKeyBytes) {
      throw invalid("metrics", "a key has 1 to 4096 bytes, not " + std::to_string(key.size()));
    }
    if (!is_utf8(key)) throw invalid("metrics", "a key is not UTF-8");
    if (!seen.insert(key).second) {
      throw invalid("metrics", "'" + std::string(key) + "' twice in one call");
    }
  }
}

}  // namespace

Shape& Shapes::look_up(const Value* values, std::size_t count) {
  const std::size_t hash = hash_of(values, count);
  const auto [first, end] = by_hash_.equal_range(hash);
  std::shared_ptr<Shape> found;
  for (auto one = first; one != end && found == nullptr; ++one) {
    if (one->second->is(values, count)) found = one->second;
  }
  if (found == nullptr) {
    found = make(values, count);
    if (by_hash_.size() >= kMost) {
      by_hash_.clear();
      last_ = nullptr;
    }
    by_hash_.emplace(hash, found);
  }
  if (last_ != nullptr) last_->successor = found.get();
  last_ = found.get();
  return *found;
}

std::shared_ptr<Shape> Shapes::make(const Value* values, std::size_t count) {
  check(values, count);
  auto shape = std::make_shared<Shape>();
  Shape& made = *shape;
  made.row_bytes = 16 + 8 * count;
  made.frame_bytes = kFrameOverhead;
  for (std::size_t i = 0; i < count; ++i) {
    made.keys.emplace_back(values[i].first);
    made.ids.push_back(id_of(made.keys.back()));
    made.frame_bytes += kIdBytes + kNameOverhead + made.keys.back().size();
  }
  made.successor = &made;
  return shape;
}

std::uint32_t Shapes::id_of(const std::string& key) {
  const auto [place, is_new] = ids_.emplace(key, static_cast<std::uint32_t>(ids_.size() + 1));
  if (is_new) names_.push_back(&place->first);
  return place->second;
}

}  // namespace runwire
