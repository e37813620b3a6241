/// @file
/// The client of the Runwire experiment tracking service.
///
///     runwire::Client client("grpc://localhost:5001");
///     auto run = client.runs().create({"experiment"});
///     auto writer = client.writer(run.run_id());
///     writer.log({{"loss", 0.25}, {"accuracy", 0.9}}, step);
///     writer.close();
///     client.runs().finish(run.run_id());
#pragma once

#include "runwire/client.h"         // IWYU pragma: export
#include "runwire/error.h"          // IWYU pragma: export
#include "runwire/model_watcher.h"  // IWYU pragma: export
