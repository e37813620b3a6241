/**
 * The client for browsers, over the web port of a server: Connect or gRPC-Web.
 *
 * The server must allow the page's origin (`runwire server --cors-origins`). There are no streams
 * of requests here: a writer sends one batch after the other, and a file must fit one message.
 *
 * @packageDocumentation
 */
import { Services } from "./client.js";
import { WebArtifacts } from "./web/artifact.js";
import { type ClientOptions, WebConnection } from "./web/connection.js";

export * from "./exports.js";
export { WebArtifacts } from "./web/artifact.js";
export type { ClientOptions } from "./web/connection.js";

const TIMEOUT_MS = 30_000;

/**
 * A server, as this page sees it. Nothing is asked before the first call.
 *
 * ```ts
 * const client = new Client("https://tracking.example.com");
 * ```
 */
export class Client extends Services {
  /** Files of runs and model versions. */
  readonly artifacts: WebArtifacts;

  /** Throws INVALID_ARGUMENT for a URI that can never be right. */
  constructor(options: string | ClientOptions) {
    const found = typeof options === "string" ? { uri: options } : options;
    const { timeoutMs = TIMEOUT_MS, workspace = "" } = found;
    super(new WebConnection(found), timeoutMs, workspace);
    this.artifacts = new WebArtifacts(this.calls);
  }
}
