// ConnectError, with the messages of google.rpc in its details, to RunwireError. Those messages
// are in no package of their own, so the few fields that are used are read from their wire form.
// Definitions: google/rpc/error_details.proto.
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { Code as ConnectCode, ConnectError } from "@connectrpc/connect";
import { type Code, type ErrorDetails, RunwireError } from "./error.js";

const NAMES: Readonly<Record<number, Code>> = {
  [ConnectCode.Canceled]: "CANCELLED",
  [ConnectCode.Unknown]: "UNKNOWN",
  [ConnectCode.InvalidArgument]: "INVALID_ARGUMENT",
  [ConnectCode.DeadlineExceeded]: "DEADLINE_EXCEEDED",
  [ConnectCode.NotFound]: "NOT_FOUND",
  [ConnectCode.AlreadyExists]: "ALREADY_EXISTS",
  [ConnectCode.PermissionDenied]: "PERMISSION_DENIED",
  [ConnectCode.ResourceExhausted]: "RESOURCE_EXHAUSTED",
  [ConnectCode.FailedPrecondition]: "FAILED_PRECONDITION",
  [ConnectCode.Aborted]: "ABORTED",
  [ConnectCode.OutOfRange]: "OUT_OF_RANGE",
  [ConnectCode.Unimplemented]: "UNIMPLEMENTED",
  [ConnectCode.Internal]: "INTERNAL",
  [ConnectCode.Unavailable]: "UNAVAILABLE",
  [ConnectCode.DataLoss]: "DATA_LOSS",
  [ConnectCode.Unauthenticated]: "UNAUTHENTICATED",
};

// What something between us and the server may say of itself, or the transport of our own request.
const OF_THE_TRANSPORT: ReadonlySet<Code> = new Set<Code>([
  "DEADLINE_EXCEEDED",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "UNAUTHENTICATED",
  "UNAVAILABLE",
  "UNIMPLEMENTED",
]);

/** The typed error of whatever a transport has thrown; `uri` is what the user connected to. */
export function errorOf(thrown: unknown, uri: string, signal?: AbortSignal): RunwireError {
  if (thrown instanceof RunwireError) return thrown;
  const error = ConnectError.from(thrown);
  const details = detailsOf(error);
  if (details.reason) {
    return new RunwireError(NAMES[error.code] ?? "UNKNOWN", error.rawMessage, details);
  }
  if (signal?.aborted)
    return new RunwireError("CANCELLED", "the call was cancelled", causeOf(error));
  return transportError(error, uri);
}

/** The service says why, always: without a reason a call came to its end on the way. */
function transportError(error: ConnectError, uri: string): RunwireError {
  const text = error.rawMessage;
  const code = NAMES[error.code] ?? "UNKNOWN";
  if (isOurs(error)) return new RunwireError("INVALID_ARGUMENT", text, causeOf(error));
  if (!OF_THE_TRANSPORT.has(code) || code === "UNAVAILABLE") {
    const message =
      `no Runwire server answers at ${uri} (${text}). Is it running, is this its gRPC port ` +
      "(5001 unless told otherwise) or its web address (http://HOST:5000), and does a firewall " +
      "or proxy stand between?";
    return new RunwireError("UNAVAILABLE", message, causeOf(error));
  }
  if (code === "DEADLINE_EXCEEDED") {
    return new RunwireError(code, `${uri} did not answer in time (${text})`, causeOf(error));
  }
  if (code === "UNIMPLEMENTED") {
    const message = `${uri} does not offer this call: another version, or no Runwire server`;
    return new RunwireError(code, message, causeOf(error));
  }
  return new RunwireError(code, text, causeOf(error));
}

/** A value that fits no field of its message: no server was asked. */
function isOurs(error: ConnectError): boolean {
  return error.cause instanceof Error && error.cause.name === "FieldError";
}

function causeOf(error: ConnectError): ErrorDetails {
  return { cause: error };
}

function detailsOf(error: ConnectError): ErrorDetails {
  const found: ErrorDetails = { cause: error };
  for (const detail of error.details) {
    if (!("type" in detail)) continue;
    try {
      if (detail.type === "google.rpc.ErrorInfo") Object.assign(found, readErrorInfo(detail.value));
      if (detail.type === "google.rpc.RetryInfo") found.retryAfterMs = readRetryInfo(detail.value);
    } catch {
      // A proxy's idea of details: the code and text are left.
    }
  }
  return found;
}

/** Reads `google.rpc.ErrorInfo`. */
export function readErrorInfo(data: Uint8Array): {
  reason: string;
  metadata: Record<string, string>;
} {
  const metadata: Record<string, string> = {};
  let reason = "";
  eachField(data, (number, reader) => {
    if (number === 1) reason = reader.string();
    else if (number === 3) readEntry(reader.bytes(), metadata);
    else return false;
    return true;
  });
  return { reason, metadata };
}

function readEntry(data: Uint8Array, into: Record<string, string>): void {
  let key = "";
  let value = "";
  eachField(data, (number, reader) => {
    if (number === 1) key = reader.string();
    else if (number === 2) value = reader.string();
    else return false;
    return true;
  });
  into[key] = value;
}

/** Reads `google.rpc.RetryInfo`: its delay in milliseconds. */
export function readRetryInfo(data: Uint8Array): number {
  let delayMs = 0;
  eachField(data, (number, reader) => {
    if (number !== 1) return false;
    eachField(reader.bytes(), (part, inner) => {
      if (part === 1) delayMs += Number(inner.int64()) * 1000;
      else if (part === 2) delayMs += inner.int32() / 1e6;
      else return false;
      return true;
    });
    return true;
  });
  return delayMs;
}

/** `take` reads a field, or says false: it is passed over. */
function eachField(
  data: Uint8Array,
  take: (number: number, reader: BinaryReader, type: WireType) => boolean,
): void {
  const reader = new BinaryReader(data);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    if (!take(number, reader, type)) reader.skip(type, number);
  }
}
