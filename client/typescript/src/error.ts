import type { Fault } from "./v1/common_pb.js";

/** The name of a gRPC status code. */
export type Code =
  | "CANCELLED"
  | "UNKNOWN"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "OUT_OF_RANGE"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "DATA_LOSS"
  | "UNAUTHENTICATED";

/** What a {@link RunwireError} carries beside its message. */
export interface ErrorDetails {
  /** Why, as a name of `ErrorReason`. */
  reason?: string;
  /** What the message names, by name: `field`, `key`, `limit`. */
  metadata?: Record<string, string>;
  /** When the server wants to be asked again. */
  retryAfterMs?: number | undefined;
  /** What it came of. */
  cause?: unknown;
}

/**
 * Anything that went wrong between this program and its server.
 *
 * ```ts
 * try {
 *   await client.runs.get(runId);
 * } catch (error) {
 *   if (error instanceof RunwireError && error.code === "NOT_FOUND") …
 * }
 * ```
 */
export class RunwireError extends Error {
  override readonly name = "RunwireError";
  /** The gRPC status. */
  readonly code: Code;
  /** A name of `ErrorReason` in error.proto; empty where the transport failed. */
  readonly reason: string;
  /** What the message names, by name: `field`, `key`, `limit`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Milliseconds after which the server wants to be asked again, where it said so. */
  readonly retryAfterMs: number | undefined;

  constructor(code: Code, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.reason = details.reason ?? "";
    this.metadata = details.metadata ?? {};
    this.retryAfterMs = details.retryAfterMs;
  }
}

// The codes of ErrorReason: an entry's fault inside a batch carries the reason alone.
const CODE_OF_REASON: Readonly<Record<string, Code>> = {
  NOT_FOUND: "NOT_FOUND",
  DELETED: "NOT_FOUND",
  ALREADY_EXISTS: "ALREADY_EXISTS",
  REQUEST_ID_REUSED: "ALREADY_EXISTS",
  FIELD_INVALID: "INVALID_ARGUMENT",
  FILTER_SYNTAX: "INVALID_ARGUMENT",
  PAGE_TOKEN_MISMATCH: "INVALID_ARGUMENT",
  DIGEST_MISMATCH: "INVALID_ARGUMENT",
  CHECKSUM_MISMATCH: "INVALID_ARGUMENT",
  PARAM_CONFLICT: "FAILED_PRECONDITION",
  RUN_SEALED: "FAILED_PRECONDITION",
  BLOBS_MISSING: "FAILED_PRECONDITION",
  STAGE_CHANGED: "FAILED_PRECONDITION",
  TREE_SEALED: "FAILED_PRECONDITION",
  ETAG_MISMATCH: "ABORTED",
  ALIAS_MOVED: "ABORTED",
  SEQUENCE_GAP: "OUT_OF_RANGE",
  OFFSET_GAP: "OUT_OF_RANGE",
  REVISION_AHEAD: "OUT_OF_RANGE",
  TOO_LARGE: "RESOURCE_EXHAUSTED",
  QUOTA: "RESOURCE_EXHAUSTED",
  OVERLOADED: "UNAVAILABLE",
  DRAINING: "UNAVAILABLE",
  STORAGE_UNAVAILABLE: "UNAVAILABLE",
  DATA_DAMAGED: "DATA_LOSS",
  INTERNAL: "INTERNAL",
  UNIMPLEMENTED: "UNIMPLEMENTED",
};

/** The error of one entry of a batch, as a call of its own would have raised it. */
export function errorOfFault(fault: Fault): RunwireError {
  const { reason, metadata } = fault;
  return new RunwireError(CODE_OF_REASON[reason] ?? "UNKNOWN", fault.message, { reason, metadata });
}

/** What this side finds wrong with an argument before it asks the server. */
export function invalid(field: string, problem: string): RunwireError {
  const details = { reason: "FIELD_INVALID", metadata: { field } };
  return new RunwireError("INVALID_ARGUMENT", `${field}: ${problem}`, details);
}

/** The caller's signal has fired. */
export function cancelled(signal?: AbortSignal): RunwireError {
  return new RunwireError("CANCELLED", "the call was cancelled", { cause: signal?.reason });
}
