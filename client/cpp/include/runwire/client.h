/// @file
/// The door to a Runwire server.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "runwire/artifacts.h"
#include "runwire/metrics.h"
#include "runwire/models.h"
#include "runwire/runs.h"
#include "runwire/v1/server_service.pb.h"
#include "runwire/writer.h"

namespace runwire {

class Caller;

/// What is left empty comes from the environment.
struct ClientOptions {
  /// Sent with every call, as `authorization: Bearer …`. Empty: RUNWIRE_TOKEN.
  std::string token;
  /// PEM file with the certificate authorities that grpcs:// and https:// trust. Empty:
  /// RUNWIRE_CA_FILE, else those of the system.
  std::string ca_file;
  /// Of experiments and models. Empty: RUNWIRE_WORKSPACE, else "default".
  std::string workspace;
  /// Recorded as the user. Empty: RUNWIRE_USER, else the login name.
  std::string user;
  /// Of one call, all its attempts together. Unset: RUNWIRE_TIMEOUT_S, else 30 s.
  std::optional<std::chrono::milliseconds> timeout;
};

/// A server, or several of one database. Safe for threads; opens its connection when it is first
/// needed, and again whenever it is lost. Copies share the connection, which is closed with the
/// last of them and of the writers and watchers made from it. gRPC does not survive fork(): make
/// clients in the child.
///
/// All calls throw `Error`. Those that the protos allow to be repeated are tried up to five times
/// while the server is away, within their timeout.
class Client {
 public:
  /// `uri`: `grpc://HOST:5001`, with several servers `grpc://ONE:5001,TWO:5001`; over TLS
  /// `grpcs://…`; or `http://HOST:5000` and `https://…`, which tell where gRPC is served. Empty:
  /// RUNWIRE_TRACKING_URI. Throws for a URI that can never work.
  explicit Client(const std::string& uri = {}, const ClientOptions& options = {});
  ~Client();
  Client(const Client&);
  Client(Client&&) noexcept;
  Client& operator=(const Client&);
  Client& operator=(Client&&) noexcept;

  const Runs& runs() const { return runs_; }
  const Metrics& metrics() const { return metrics_; }
  const Artifacts& artifacts() const { return artifacts_; }
  const Models& models() const { return models_; }

  /// Streams what a training job logs to a run.
  Writer writer(const std::string& run_id, const WriterOptions& options = {}) const;

  /// Version, features and limits of the server.
  v1::GetServerInfoResponse server_info(const CallOptions& options = {}) const;

  /// The URI that it was made with, in full.
  const std::string& uri() const;

  /// For this library's own parts and for `runwire/grpc.h`.
  const std::shared_ptr<Caller>& caller() const { return caller_; }

 private:
  std::shared_ptr<Caller> caller_;
  Runs runs_;
  Metrics metrics_;
  Artifacts artifacts_;
  Models models_;
};

}  // namespace runwire
