import type { Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { type Address, parseAddress } from "../address.js";
import { type Connection, metadata } from "../connection.js";
import { discover } from "../discover.js";
import { VERSION } from "../version.js";
import { balanced } from "./balance.js";
import { getter } from "./get.js";
import type { Settings } from "./settings.js";

// A connection that is dead without a word is noticed after the two together. Servers take one a minute.
const PING = { pingIntervalMs: 60_000, pingTimeoutMs: 20_000 };

/** gRPC over HTTP/2. */
export class GrpcConnection implements Connection {
  readonly uri: string;
  readonly transport: Transport;
  readonly streams = true;
  readonly #settings: Settings;
  readonly #address: Address;
  readonly #sessions: Http2SessionManager[] = [];
  #opening: Promise<Transport> | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#address = parseAddress(settings.uri);
    this.uri = this.#address.shown;
    this.transport = {
      unary: async (...call) => (await this.#open()).unary(...call),
      stream: async (...call) => (await this.#open()).stream(...call),
    };
  }

  close(): void {
    for (const session of this.#sessions) session.abort();
  }

  /** What has failed is tried again by the next call. */
  #open(): Promise<Transport> {
    this.#opening ??= this.#connect().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #connect(): Promise<Transport> {
    const { scheme, servers } = this.#address;
    if (scheme === "grpc" || scheme === "grpcs") return this.#over(servers, scheme === "grpcs");
    const endpoint = await discover(this.uri, getter(this.#settings.ca));
    return this.#over([endpoint], scheme === "https");
  }

  #over(servers: readonly string[], secure: boolean): Transport {
    const transports = servers.map((server) =>
      this.#to(`${secure ? "https" : "http"}://${server}`),
    );
    return transports.length === 1 ? (transports[0] as Transport) : balanced(transports);
  }

  #to(baseUrl: string): Transport {
    const { ca, user, token } = this.#settings;
    const sessionManager = new Http2SessionManager(baseUrl, PING, ca === undefined ? {} : { ca });
    this.#sessions.push(sessionManager);
    const userAgent = `runwire-typescript/${VERSION}`;
    const client = `typescript/${VERSION}`;
    return createGrpcTransport({
      baseUrl,
      sessionManager,
      acceptCompression: [],
      interceptors: [metadata({ client, user, token, userAgent })],
    });
  }
}
