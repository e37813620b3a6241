import type { Interceptor, Transport } from "@connectrpc/connect";

/** Where calls go. Opened by their first one. */
export interface Connection {
  /** Of Connect: what generated stubs are made over. */
  readonly transport: Transport;
  /** As the user gave it, without a password; for messages. */
  readonly uri: string;
  /** Whether streams of requests pass. */
  readonly streams: boolean;
  /** Ends what is under way. */
  close(): void;
}

/** What is said with every call. */
export interface Caller {
  /** `typescript/VERSION`. */
  client: string;
  /** Who uses it. Empty: not said. */
  user: string;
  /** Bearer token. Empty: none. */
  token: string;
  /** Of this library. Empty where it cannot be set: in browsers. */
  userAgent: string;
}

/** Adds the metadata that servers know callers by. */
export function metadata(caller: Caller): Interceptor {
  const entries: [string, string][] = [["runwire-client", caller.client]];
  if (caller.user) entries.push(["runwire-user", percentEncoded(caller.user)]);
  if (caller.token) entries.push(["authorization", `Bearer ${caller.token}`]);
  if (caller.userAgent) entries.push(["user-agent", caller.userAgent]);
  return (next) => (request) => {
    for (const [name, value] of entries) request.header.set(name, value);
    return next(request);
  };
}

/** Header values are ASCII. */
function percentEncoded(text: string): string {
  return encodeURIComponent(text).replaceAll("%20", " ");
}
