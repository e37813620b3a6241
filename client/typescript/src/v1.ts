/**
 * The API's own messages and services, as protoc-gen-es makes them: `create(RunSchema, {…})` of
 * `@bufbuild/protobuf` makes a message, `client.stubs(RunService)` calls a service.
 *
 * @packageDocumentation
 */
export * from "./v1/artifact_pb.js";
export * from "./v1/artifact_service_pb.js";
export * from "./v1/common_pb.js";
export * from "./v1/error_pb.js";
export * from "./v1/experiment_pb.js";
export * from "./v1/experiment_service_pb.js";
export * from "./v1/metric_pb.js";
export * from "./v1/metric_service_pb.js";
export * from "./v1/model_pb.js";
export * from "./v1/registry_service_pb.js";
export * from "./v1/run_pb.js";
export * from "./v1/run_service_pb.js";
export * from "./v1/server_service_pb.js";
