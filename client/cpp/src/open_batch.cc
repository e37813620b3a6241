#include "open_batch.h"

#include <utility>

namespace runwire {

void OpenBatch::add(Shape& shape, const Value* values, std::int64_t step,
                    std::int64_t time_micros) {
  batch_->bytes += cost(shape);
  if (shape.frame == nullptr) begin_frame(shape);
  const std::size_t count = shape.keys.size();
  batch_->points += static_cast<std::int64_t>(count);
  shape.frame->add_steps(step);
  shape.frame->add_times_micros(time_micros);
  auto& column = *shape.frame->mutable_values();
  for (std::size_t i = 0; i < count; ++i) column.Add(values[i].second);
}

void OpenBatch::begin_frame(Shape& shape) {
  declare(shape);
  shape.frame = message().add_frames();
  shape.frame->mutable_series()->Add(shape.ids.begin(), shape.ids.end());
  batch_->shapes.push_back(shape.shared_from_this());
}

void OpenBatch::declare(const Shape& shape) {
  for (std::size_t i = 0; i < shape.ids.size(); ++i) {
    const std::uint32_t id = shape.ids[i];
    if (declared_.size() <= id) declared_.resize(2 * id + 1);
    if (declared_[id]) continue;
    declared_[id] = true;
    v1::SeriesName& name = *message().add_series();
    name.set_id(id);
    name.set_key(shape.keys[i]);
  }
}

bool OpenBatch::fits_param(const std::string& key, const std::string& value) const {
  const auto found = batch_->message().params().find(key);
  return found == batch_->message().params().end() || found->second == value;
}

void OpenBatch::add_param(const std::string& key, const std::string& value) {
  (*message().mutable_params())[key] = value;
  batch_->bytes += cost(key, value);
}

void OpenBatch::add_tag(const std::string& key, const std::string& value) {
  (*message().mutable_tags())[key] = value;
  batch_->bytes += cost(key, value);
}

std::unique_ptr<Batch> OpenBatch::seal(std::int64_t sequence) {
  message().set_sequence(sequence);
  for (const auto& shape : batch_->shapes) shape->frame = nullptr;
  return std::exchange(batch_, std::make_unique<Batch>());
}

}  // namespace runwire
