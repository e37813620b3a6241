import type { Transport } from "@connectrpc/connect";
import { createTransport } from "@connectrpc/connect/protocol-connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { parseAddress } from "../address.js";
import { type Connection, metadata } from "../connection.js";
import { invalid } from "../error.js";
import { VERSION } from "../version.js";
import { bufferedClient } from "./buffered.js";

const MAX_MESSAGE_BYTES = 0xffff_ffff;

/** What a {@link Client} is made with. */
export interface ClientOptions {
  /** `http(s)://host:5000`: the web port of a server, which must allow this page's origin. */
  uri: string;
  /** Connect (unless given) or gRPC-Web. */
  protocol?: "connect" | "grpc-web";
  /** Bearer token, sent with every call. */
  token?: string;
  /** Milliseconds for a call, all attempts together. 30 s. */
  timeoutMs?: number;
  /** Of experiments and models. */
  workspace?: string;
  /** Noted as who did it. */
  user?: string;
}

/** Over `fetch`. */
export class WebConnection implements Connection {
  readonly uri: string;
  readonly transport: Transport;
  readonly streams = false;
  readonly #closed = new AbortController();

  constructor({ uri, protocol = "connect", token = "", user = "" }: ClientOptions) {
    const { scheme, shown, servers } = parseAddress(uri);
    if (scheme.startsWith("grpc")) {
      throw invalid("uri", `${shown}: a browser speaks to the web port, http(s)://HOST:5000`);
    }
    this.uri = shown;
    const client = `typescript-web/${VERSION}`;
    const interceptors = [metadata({ client, token, user, userAgent: "" })];
    const fetch = this.#fetch.bind(this);
    const options = {
      baseUrl: `${scheme}://${servers[0]}`,
      useBinaryFormat: true,
      interceptors,
      fetch,
    };
    const transport =
      protocol === "connect" ? createConnectTransport(options) : createGrpcWebTransport(options);
    const whole = createTransport({
      ...options,
      httpClient: bufferedClient(fetch),
      acceptCompression: [],
      sendCompression: null,
      compressMinBytes: 0,
      readMaxBytes: MAX_MESSAGE_BYTES,
      writeMaxBytes: MAX_MESSAGE_BYTES,
    });
    this.transport = {
      unary: (...call) => transport.unary(...call),
      // What takes requests as a stream takes them whole, and only in Connect.
      stream: (method, ...call) =>
        (method.methodKind === "client_streaming" ? whole : transport).stream(method, ...call),
    };
  }

  close(): void {
    this.#closed.abort();
  }

  #fetch(input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> {
    const signals = [this.#closed.signal, ...(init.signal ? [init.signal] : [])];
    return globalThis.fetch(input, { ...init, signal: AbortSignal.any(signals) });
  }
}
