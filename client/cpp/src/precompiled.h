// Parsed once for all sources: gRPC's headers take 3 s each time.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "runwire/v1/artifact_service.grpc.pb.h"
#include "runwire/v1/metric_service.grpc.pb.h"
#include "runwire/v1/registry_service.grpc.pb.h"
#include "runwire/v1/run_service.grpc.pb.h"
#include "runwire/v1/server_service.grpc.pb.h"
