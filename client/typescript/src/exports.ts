// What both entries offer.
export type { CallOptions } from "./call.js";
export { Services } from "./client.js";
export { type Code, type ErrorDetails, RunwireError } from "./error.js";
export type { Entries } from "./log.js";
export { Pager } from "./pager.js";
export { type CreateRunOptions, type EndState, Runs, type SearchRunsOptions } from "./run.js";
export { VERSION } from "./version.js";
export { type Run, Run_State } from "./v1/run_pb.js";
export type { Rejection } from "./v1/metric_pb.js";
export { Writer } from "./writer.js";
export type { WriterOptions } from "./writer/options.js";
export type { Values } from "./writer/shape.js";
