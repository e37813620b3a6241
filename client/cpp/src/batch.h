// A batch while it is filled, and after.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "runwire/v1/metric_service.pb.h"
#include "shapes.h"

namespace runwire {

// The columns are the message: nothing is copied between log() and the wire. Once it has a sequence
// it never changes.
struct Batch {
  v1::StreamBatchesRequest request;
  std::vector<std::shared_ptr<Shape>> shapes;  // of its frames
  std::size_t bytes = 0;                       // on the wire, at most
  std::int64_t points = 0;

  const v1::MetricBatch& message() const { return request.batch(); }
  std::int64_t sequence() const { return message().sequence(); }
  bool is_empty() const { return bytes == 0; }
};

}  // namespace runwire
