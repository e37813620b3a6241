// What both entries offer.
export type { CallOptions } from "./call.js";
export { Services } from "./client.js";
export { type Code, type ErrorDetails, RunwireError } from "./error.js";
export type { Entries } from "./log.js";
export { type Page, Pager } from "./pager.js";
export { type CreateRunOptions, type EndState, Runs, type SearchRunsOptions } from "./run.js";
export { VERSION } from "./version.js";
export { type Run, Run_State } from "./v1/run_pb.js";
export type { Rejection } from "./v1/metric_pb.js";
export { Writer } from "./writer.js";
export type { WriterOptions } from "./writer/options.js";
export type { Values } from "./writer/shape.js";
export {
  Artifacts,
  type ListArtifactsOptions,
  type Owner,
  type Uploaded,
  type UploadOptions,
} from "./artifact.js";
export { Download, type DownloadOptions } from "./artifact/download.js";
export type { Progress } from "./artifact/meter.js";
export { Metrics, type ReadOptions } from "./metric.js";
export type { Series } from "./metric/series.js";
export {
  Models,
  type CreateModelOptions,
  type CreateVersionOptions,
  type ModelOptions,
  type Resolved,
  type ResolveOptions,
  type SearchModelsOptions,
  type SetAliasOptions,
} from "./model.js";
export { ModelWatcher, type WatcherOptions } from "./watcher.js";
export type { ModelChange, OnChange } from "./watcher/announcer.js";
export type { Artifact } from "./v1/artifact_pb.js";
export type { SeriesInfo } from "./v1/metric_pb.js";
export type { Model, ModelVersion } from "./v1/model_pb.js";
