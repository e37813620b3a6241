#include "runwire/metrics.h"

#include <algorithm>

#include "caller.h"

namespace runwire {

namespace {

v1::ReadSeriesRequest request_of(const std::vector<std::string>& run_ids,
                                 const std::vector<std::string>& keys, const ReadOptions& options) {
  v1::ReadSeriesRequest request;
  auto& select = *request.mutable_select();
  for (const auto& run_id : run_ids) select.add_run_ids(run_id);
  for (const auto& key : keys) select.add_keys(key);
  for (const auto& prefix : options.key_prefixes) select.add_key_prefixes(prefix);
  if (options.from_step) request.set_range_start(*options.from_step);
  if (options.before_step) request.set_range_end(*options.before_step);
  request.set_max_points(options.max_points);
  request.set_reduce(options.max_points > 0 ? v1::ReadSeriesRequest::REDUCE_SHAPE
                                            : v1::ReadSeriesRequest::REDUCE_NONE);
  return request;
}

template <class Column, class Values>
void append(Column& column, const Values& values) {
  column.insert(column.end(), values.begin(), values.end());
}

// Several responses may carry one series; they follow each other.
void take(std::vector<Series>& found, const v1::ReadSeriesResponse& response) {
  if (found.empty() || found.back().run_id != response.run_id() ||
      found.back().key != response.key()) {
    found.push_back({response.run_id(), response.key(), {}, {}, {}});
  }
  append(found.back().steps, response.points().steps());
  append(found.back().times_micros, response.points().times_micros());
  append(found.back().values, response.points().values());
}

}  // namespace

std::vector<Series> Metrics::read(const std::vector<std::string>& run_ids,
                                  const std::vector<std::string>& keys,
                                  const ReadOptions& options) const {
  auto request = request_of(run_ids, keys, options);
  std::vector<Series> found;
  Retry retry;
  while (true) {
    try {
      grpc::ClientContext context;
      caller_->add_metadata(context);
      const OnCancel on_cancel(options.cancellation, [&] { context.TryCancel(); });
      const auto reader = caller_->stub<v1::MetricService>({{}, options.cancellation})
                              .ReadSeries(&context, request);
      for (v1::ReadSeriesResponse response; reader->Read(&response);) {
        retry = Retry();
        take(found, response);
        request.set_resume(response.resume());
      }
      caller_->check(reader->Finish());
      return found;
    } catch (const Error& error) {
      if (!retry.wait(error, options.cancellation)) throw;
    }
  }
}

}  // namespace runwire
