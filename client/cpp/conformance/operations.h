// The operations of tests/conformance/README.md, by this library.
#pragma once

#include <runwire/runwire.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "json.h"
#include "watch_log.h"

namespace conformance {

// One client, and the writers and watchers that belong to it.
class Operations {
 public:
  Operations();

  // What there is to say to it. Throws runwire::Error, and others for faults of the runner.
  Struct call(const std::string& op, const Arguments& args);

 private:
  using Operation = Struct (Operations::*)(const Arguments&);

  struct Watcher {
    std::shared_ptr<WatchLog> log;
    runwire::ModelWatcher models;
  };

  Struct hello(const Arguments& args);
  Struct connect(const Arguments& args);
  Struct server_info(const Arguments& args);

  Struct create_run(const Arguments& args);
  Struct get_run(const Arguments& args);
  Struct log_params(const Arguments& args);
  Struct log_tags(const Arguments& args);
  Struct log_metrics(const Arguments& args);
  Struct finish_run(const Arguments& args);
  Struct search_runs(const Arguments& args);
  Struct cancel_get_run(const Arguments& args);

  Struct open_writer(const Arguments& args);
  Struct write(const Arguments& args);
  Struct write_series(const Arguments& args);
  Struct flush(const Arguments& args);
  Struct writer_status(const Arguments& args);
  Struct close_writer(const Arguments& args);

  Struct upload(const Arguments& args);
  Struct upload_data(const Arguments& args);
  Struct download(const Arguments& args);
  Struct download_data(const Arguments& args);
  Struct list_artifacts(const Arguments& args);

  Struct create_model(const Arguments& args);
  Struct create_version(const Arguments& args);
  Struct set_alias(const Arguments& args);
  Struct resolve(const Arguments& args);
  Struct open_watcher(const Arguments& args);
  Struct watcher_wait(const Arguments& args);
  Struct watcher_get(const Arguments& args);
  Struct watcher_status(const Arguments& args);
  Struct close_watcher(const Arguments& args);

  Struct reserialize(const Arguments& args);
  Struct bench_log(const Arguments& args);
  Struct bench_resolve(const Arguments& args);
  Struct bench_read(const Arguments& args);

  const runwire::Client& client() const;
  runwire::Writer& writer(const Arguments& args) { return writers_.at(args.text("writer")); }
  Watcher& watcher(const Arguments& args) { return watchers_.at(args.text("watcher")); }

  std::map<std::string, Operation> operations_;
  std::optional<runwire::Client> client_;
  std::map<std::string, runwire::Writer> writers_;
  std::map<std::string, Watcher> watchers_;
  int opened_ = 0;
};

// As the protocol has it.
Struct told(const runwire::Error& error);

}  // namespace conformance
