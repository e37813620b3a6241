// What a watcher's callback told.
#pragma once

#include <runwire/runwire.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "json.h"

namespace conformance {

class WatchLog {
 public:
  void hear(const runwire::ModelChange& change);
  // Waits until this version was told for the reference; all that was told. Throws runwire::Error.
  std::vector<Value> wait(const std::string& reference, const std::string& version,
                          std::chrono::milliseconds timeout);

 private:
  struct Told {
    std::string reference;
    std::string version;  // empty: none
  };

  std::mutex lock_;
  std::condition_variable heard_;
  std::vector<Told> told_;
};

}  // namespace conformance
