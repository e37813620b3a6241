import { createClient, type Client as Stubs } from "@connectrpc/connect";
import type { DescService } from "@bufbuild/protobuf";
import { Calls, type CallOptions } from "./call.js";
import type { Connection } from "./connection.js";
import { Metrics } from "./metric.js";
import { Models } from "./model.js";
import { Runs } from "./run.js";
import { ModelWatcher, type WatcherOptions } from "./watcher.js";
import { Writer } from "./writer.js";
import type { WriterOptions } from "./writer/options.js";
import { type GetServerInfoResponse, ServerService } from "./v1/server_service_pb.js";

/** What the clients of all platforms can do. */
export class Services implements AsyncDisposable {
  /** Runs: made, found, described, ended. */
  readonly runs: Runs;
  /** What was logged, read again. */
  readonly metrics: Metrics;
  /** The registry of models. */
  readonly models: Models;
  /** @internal */
  protected readonly calls: Calls;

  /** @internal */
  constructor(connection: Connection, timeoutMs: number, workspace: string) {
    this.calls = new Calls(connection, timeoutMs, workspace);
    this.runs = new Runs(this.calls);
    this.metrics = new Metrics(this.calls);
    this.models = new Models(this.calls);
  }

  /** Streams what a job logs to a run: metrics, params and tags. Close it at the end. */
  writer(runId: string, options: WriterOptions = {}): Writer {
    return new Writer(this.calls, runId, options);
  }

  /** Follows what references such as `taxi@champion` mean. Close it at the end. */
  watchModels(references: Iterable<string>, options: WatcherOptions = {}): ModelWatcher {
    return new ModelWatcher(this.calls, references, options);
  }

  /** Version, features and limits of the server. */
  serverInfo(options: CallOptions = {}): Promise<GetServerInfoResponse> {
    return this.calls.unary(ServerService.method.getServerInfo, {}, options);
  }

  /**
   * The generated stubs of a service of `runwire/v1`, over the same connection: every call of the
   * API, without retries, and with Connect's own errors.
   */
  stubs<S extends DescService>(service: S): Stubs<S> {
    return createClient(service, this.calls.transport);
  }

  /** Ends what is under way, and refuses what comes. Close writers and watchers before. */
  async close(): Promise<void> {
    this.calls.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
