// Tracking URIs: what a user may write, and what it comes to.
import { invalid } from "./error.js";

const GRPC_PORT = 5001;

/** A tracking URI of a server. */
export interface Address {
  /** As given, without a password and a slash at its end; for messages. */
  shown: string;
  scheme: "grpc" | "grpcs" | "http" | "https";
  /** Each HOST:PORT; of http(s), as given. */
  servers: string[];
}

/**
 * Reads `grpc://host:5001[,host2:5001]`, `grpcs://…` or `http(s)://host:5000`. Throws
 * INVALID_ARGUMENT for what no client of a server can speak to.
 */
export function parseAddress(uri: string): Address {
  const [, scheme = "", rest = ""] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(uri) ?? [];
  const name = scheme.toLowerCase();
  if (name !== "grpc" && name !== "grpcs" && name !== "http" && name !== "https") {
    const problem = `${JSON.stringify(uri)} is no server: write http(s)://HOST:5000 or grpc(s)://HOST:5001`;
    throw invalid("tracking_uri", problem);
  }
  const isGrpc = name.startsWith("grpc");
  const trimmed = rest.replace(/\/+$/, "");
  const servers = isGrpc ? trimmed.split(",").map((one) => grpcServer(uri, one)) : [trimmed];
  if (!isGrpc) checkUrl(uri, trimmed);
  return { shown: shown(`${name}://${trimmed}`), scheme: name, servers };
}

/** HOST:PORT of a gRPC endpoint, whose port may be left out. */
export function withGrpcPort(host: string, port: string): string {
  return `${host}:${port || GRPC_PORT}`;
}

/** Host (in brackets where it is of IPv6) and port of HOST:PORT; either may be empty. */
export function hostAndPort(endpoint: string): { host: string; port: string } {
  const [, host = "", port = ""] = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(endpoint) ?? [];
  return { host, port };
}

function grpcServer(uri: string, text: string): string {
  if (text.includes("/")) throw invalid("tracking_uri", `${uri}: a gRPC address has no path`);
  const { host, port } = hostAndPort(text.slice(text.lastIndexOf("@") + 1));
  if (!host || port === "0") throw invalid("tracking_uri", `${uri} names no host`);
  return withGrpcPort(host, port);
}

function checkUrl(uri: string, rest: string): void {
  if (rest.split("/")[0]?.includes(",")) {
    throw invalid("tracking_uri", `${uri}: several servers go by grpc://HOST:5001,HOST:5001`);
  }
  if (!URL.canParse(`http://${rest}`)) throw invalid("tracking_uri", `${uri} names no host`);
}

function shown(uri: string): string {
  return uri.replace(/:[^:@/]*@/, ":***@");
}
