// `http://HOST:5000` as tracking URI: ask the web port where gRPC is served.
import { hostAndPort, withGrpcPort } from "./address.js";
import { invalid, RunwireError } from "./error.js";

const TIMEOUT_MS = 10_000;
const PATH = "/api/v1/server";
const EVERYWHERE = new Set(["", "0.0.0.0", "[::]"]);

/** Answers a GET. */
export type Get = (url: string, timeoutMs: number) => Promise<{ status: number; body: string }>;

/**
 * HOST:PORT of the gRPC endpoint behind a web address. Throws UNAVAILABLE where nothing answers,
 * INVALID_ARGUMENT where something does that is no Runwire server.
 */
export async function discover(uri: string, get: Get): Promise<string> {
  const found = hostAndPort(await ask(uri, get));
  // A server that listens everywhere does so where we came, too.
  const host = EVERYWHERE.has(found.host) ? new URL(uri).hostname : found.host;
  return withGrpcPort(host, found.port);
}

async function ask(uri: string, get: Get): Promise<string> {
  const { status, body } = await get(uri + PATH, TIMEOUT_MS).catch((error: unknown) => {
    const problem = error instanceof Error ? error.message : String(error);
    const message =
      `nothing answers at ${uri} (${problem}). Is the server running there, and is this its web ` +
      "port (5000 unless told otherwise)?";
    throw new RunwireError("UNAVAILABLE", message, { cause: error });
  });
  if ([429, 502, 503, 504].includes(status)) {
    throw new RunwireError("UNAVAILABLE", `${uri} answers ${status}`);
  }
  if (status !== 200) throw notRunwire(uri, String(status));
  return endpointIn(uri, body);
}

function endpointIn(uri: string, body: string): string {
  try {
    const answer: unknown = JSON.parse(body);
    if (typeof answer === "object" && answer !== null && "grpc_endpoint" in answer) {
      return String(answer.grpc_endpoint);
    }
  } catch {
    throw notRunwire(uri, "no JSON");
  }
  throw notRunwire(uri, "other JSON");
}

function notRunwire(uri: string, answer: string): RunwireError {
  return invalid(
    "tracking_uri",
    `${uri} is a web server, but not Runwire's (GET ${PATH}: ${answer}). Is it an mlflow server, ` +
      "or a proxy in front? grpc://HOST:5001 goes to its gRPC port directly",
  );
}
