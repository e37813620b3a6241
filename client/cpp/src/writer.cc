#include "runwire/writer.h"

#include "batch_queue.h"
#include "delivery.h"

namespace runwire {

struct Writer::Parts {
  Parts(std::shared_ptr<Caller> caller, const std::string& run_id, const WriterOptions& options)
      : queue(options), delivery(std::move(caller), queue, run_id) {}

  BatchQueue queue;
  Delivery delivery;
};

Writer::Writer(std::shared_ptr<Caller> caller, const std::string& run_id,
               const WriterOptions& options)
    : parts_(std::make_unique<Parts>(std::move(caller), run_id, options)) {}

Writer::~Writer() {
  if (!parts_) return;
  try {
    close();
  } catch (...) {  // NOLINT: on_error was told
  }
}

Writer::Writer(Writer&&) noexcept = default;

Writer& Writer::operator=(Writer&& other) noexcept {
  std::swap(parts_, other.parts_);
  return *this;
}

void Writer::log(const Value* values, std::size_t count, std::int64_t step,
                 std::int64_t time_micros) {
  parts_->queue.add(values, count, step, time_micros);
}

void Writer::log_params(const Texts& params) {
  parts_->queue.add_params(params);
}

void Writer::log_tags(const Texts& tags) {
  parts_->queue.add_tags(tags);
}

void Writer::flush(std::chrono::milliseconds timeout) {
  parts_->queue.flush(timeout);
}

void Writer::close(std::chrono::milliseconds timeout) {
  if (!parts_->queue.end()) return parts_->queue.await_close();
  std::optional<Error> failure;
  try {
    parts_->queue.flush(timeout);
  } catch (const Error& error) {
    failure = error;
  }
  parts_->delivery.stop();
  parts_->queue.close(failure);
  if (failure) throw Error(*failure);
}

WriterStatus Writer::status() const {
  return parts_->queue.status();
}

bool Writer::stop_requested() const {
  return parts_->queue.stop_requested();
}

}  // namespace runwire
