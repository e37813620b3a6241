/**
 * The client for Node.js, over gRPC.
 *
 * @packageDocumentation
 */
import { Services } from "./client.js";
import { NodeArtifacts } from "./node/artifact.js";
import { GrpcConnection } from "./node/connection.js";
import { type ClientOptions, settings } from "./node/settings.js";

export * from "./exports.js";
export { NodeArtifacts } from "./node/artifact.js";
export type { ClientOptions } from "./node/settings.js";

/**
 * A server, as this program sees it. Nothing is asked before the first call.
 *
 * ```ts
 * await using client = new Client("http://tracking.example.com:5000");
 * ```
 */
export class Client extends Services {
  /** Files of runs and model versions. */
  readonly artifacts: NodeArtifacts;

  /** Throws INVALID_ARGUMENT for a URI or setting that can never be right. */
  constructor(options: string | ClientOptions = {}) {
    const found = settings(typeof options === "string" ? { uri: options } : options);
    super(new GrpcConnection(found), found.timeoutMs, found.workspace);
    this.artifacts = new NodeArtifacts(this.calls);
  }
}
