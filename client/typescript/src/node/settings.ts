import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { invalid, RunwireError } from "../error.js";

/** What a {@link Client} is made with; what is left out is taken from the environment. */
export interface ClientOptions {
  /**
   * `grpc://host:5001[,host2:5001]`, `grpcs://…`, or `http(s)://host:5000`, whose gRPC port is
   * asked for there. Else `RUNWIRE_TRACKING_URI`.
   */
  uri?: string;
  /** Bearer token, sent with every call. Else `RUNWIRE_TOKEN`. */
  token?: string;
  /** Milliseconds for a call, all attempts together. Else `RUNWIRE_TIMEOUT_S`, or 30 s. */
  timeoutMs?: number;
  /** Of experiments and models. Else `RUNWIRE_WORKSPACE`. */
  workspace?: string;
  /** Noted as who did it. Else `RUNWIRE_USER`, or the login name. */
  user?: string;
  /** File of certificate authorities (PEM) for TLS. Else `RUNWIRE_CA_FILE`, or the system's. */
  caFile?: string;
}

/** All of them, resolved. */
export interface Settings {
  uri: string;
  token: string;
  timeoutMs: number;
  workspace: string;
  user: string;
  ca: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws INVALID_ARGUMENT, naming the option or variable. */
export function settings(options: ClientOptions, env: Environment = process.env): Settings {
  const uri = options.uri || env.RUNWIRE_TRACKING_URI || "";
  if (!uri)
    throw invalid("tracking_uri", "neither an option nor RUNWIRE_TRACKING_URI names a server");
  const caFile = options.caFile || env.RUNWIRE_CA_FILE || "";
  return {
    uri,
    token: options.token ?? env.RUNWIRE_TOKEN ?? "",
    timeoutMs: options.timeoutMs ?? seconds(env.RUNWIRE_TIMEOUT_S) * 1000,
    workspace: options.workspace ?? env.RUNWIRE_WORKSPACE ?? "",
    user: options.user ?? env.RUNWIRE_USER ?? loginName(),
    ca: caFile ? read(caFile) : undefined,
  };
}

function seconds(text: string | undefined): number {
  const found = text ? Number(text) : 30;
  if (found > 0 && found < 1e6) return found;
  throw invalid("RUNWIRE_TIMEOUT_S", `${JSON.stringify(text)} is no number of seconds above 0`);
}

function read(caFile: string): string {
  try {
    return readFileSync(caFile, "utf8");
  } catch (cause) {
    const details = { reason: "FIELD_INVALID", metadata: { field: "ca_file" }, cause };
    throw new RunwireError("INVALID_ARGUMENT", `ca_file: ${caFile} cannot be read`, details);
  }
}

function loginName(): string {
  try {
    return userInfo().username;
  } catch {
    return ""; // a container's user without a name
  }
}
