// The thread that follows a registry for ModelWatcher, over restarts and outages.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "caller.h"
#include "runwire/models.h"

namespace runwire {

// Watches the models, and asks again what the references mean when one of them changes: so it need
// not know what a change of a stage or a name does to a reference.
class ModelFollower {
 public:
  // Told what the references mean now, on every message: also where that is as before.
  using Take = std::function<void(const std::vector<Resolved>&)>;
  // Told what ended a connection.
  using Fail = std::function<void(const Error&)>;

  ModelFollower(std::shared_ptr<Caller> caller, std::vector<std::string> references, Take take,
                Fail fail);
  ~ModelFollower() { close(); }

  // Ends the thread.
  void close();
  bool is_connected() const { return connected_; }

 private:
  void work();
  std::optional<Error> follow_once();
  void follow();
  void hear(const v1::WatchModelsResponse& response);
  std::vector<Resolved> ask(std::int64_t revision);

  std::shared_ptr<Caller> caller_;
  Models models_;
  std::vector<std::string> references_;
  Take take_;
  Fail fail_;
  Cancellation closed_;
  std::vector<Resolved> answer_;
  std::int64_t revision_ = 0;
  std::atomic<bool> connected_{false};
  std::mutex closing_;
  std::thread thread_;
};

// The model's name. Its reference was checked before.
std::string model_of(const std::string& reference);

}  // namespace runwire
