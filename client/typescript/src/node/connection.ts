import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { type Address, parseAddress } from "../address.js";
import { type Connection, metadata } from "../connection.js";
import { discover } from "../discover.js";
import { after } from "../timer.js";
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
  readonly #closed = new AbortController();
  #opening: Promise<Transport> | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#address = parseAddress(settings.uri);
    this.uri = this.#address.shown;
    this.transport = {
      unary: async (method, signal, timeoutMs, ...call) => {
        const { found, leftMs } = await this.#opened(signal, timeoutMs);
        return found.unary(method, signal, leftMs, ...call);
      },
      stream: async (method, signal, timeoutMs, ...call) => {
        const { found, leftMs } = await this.#opened(signal, timeoutMs);
        return found.stream(method, signal, leftMs, ...call);
      },
    };
  }

  close(): void {
    this.#closed.abort();
    for (const session of this.#sessions) session.abort();
  }

  async #opened(signal: AbortSignal | undefined, timeoutMs: number | undefined) {
    const opened = await within(this.#open(), signal, timeoutMs);
    // Closed meanwhile: a session that is begun now would never end.
    if (this.#closed.signal.aborted) throw new ConnectError("closed", Code.Canceled);
    return opened;
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
    const endpoint = await discover(this.uri, getter(this.#settings.ca, this.#closed.signal));
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

/** What is awaited for several calls, and how long one of them may take after it. */
async function within<T>(
  opening: Promise<T>,
  signal: AbortSignal | undefined,
  timeoutMs: number | undefined,
): Promise<{ found: T; leftMs: number | undefined }> {
  const began = performance.now();
  let stop = (): void => {};
  let timer: ReturnType<typeof setTimeout> | undefined;
  const ended = new Promise<never>((_, reject) => {
    stop = () => reject(new ConnectError("the call was cancelled", Code.Canceled));
    const late = (): void => reject(new ConnectError("no time is left", Code.DeadlineExceeded));
    timer = after(timeoutMs, late);
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) stop();
  });
  try {
    const found = await Promise.race([opening, ended]);
    const spentMs = Math.floor(performance.now() - began);
    return { found, leftMs: timeoutMs && Math.max(1, timeoutMs - spentMs) };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}
