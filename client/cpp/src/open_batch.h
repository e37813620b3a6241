// The batch that log() fills.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "batch.h"

namespace runwire {

// Not safe for threads.
class OpenBatch {
 public:
  // Bytes that one more row of a shape takes.
  static std::size_t cost(const Shape& shape) {
    return shape.row_bytes + (shape.frame == nullptr ? shape.frame_bytes : 0);
  }

  // Of a param or a tag.
  static std::size_t cost(const std::string& key, const std::string& value) {
    return key.size() + value.size() + kEntryOverhead;
  }

  void add(Shape& shape, const Value* values, std::int64_t step, std::int64_t time_micros);

  // A param that has another value in this batch does not fit: the server is to say what it thinks
  // of it.
  bool fits_param(const std::string& key, const std::string& value) const;
  void add_param(const std::string& key, const std::string& value);
  void add_tag(const std::string& key, const std::string& value);

  const Batch& batch() const { return *batch_; }

  // What was added, with its sequence; an empty one takes its place.
  std::unique_ptr<Batch> seal(std::int64_t sequence);

 private:
  // Tags and lengths of an entry of a map, at most.
  static constexpr std::size_t kEntryOverhead = 16;

  void begin_frame(Shape& shape);
  void declare(const Shape& shape);
  v1::MetricBatch& message() { return *batch_->request.mutable_batch(); }

  std::unique_ptr<Batch> batch_ = std::make_unique<Batch>();
  std::vector<bool> declared_;  // by id: in this batch or one before
};

}  // namespace runwire
