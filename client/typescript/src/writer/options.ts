import { guarded } from "../callback.js";
import type { RunwireError } from "../error.js";
import type { Rejection } from "../v1/metric_pb.js";

// The server takes 1 MiB, and no byte more; the margin is for what sizes are estimated by.
const MOST_BATCH_BYTES = (1 << 20) - (4 << 10);

/** How a writer works; every field has a default. */
export interface WriterOptions {
  /** Milliseconds for which what was logged may wait for more of it. 200. */
  flushIntervalMs?: number;
  /** Of one batch, serialised. 512 KiB, or less where the server says so; 1 MiB at most. */
  maxBatchBytes?: number;
  /** Of memory for what is not acknowledged. 64 MiB. */
  maxBufferedBytes?: number;
  /**
   * When that is full: `block` (the default) keeps the point, and the call returns a promise that
   * resolves when there is room again; `drop` drops it, and counts it. So it is with a param or
   * tag, which counts as a point.
   */
  whenFull?: "block" | "drop";
  /** Somebody asked the run to stop: once, with the next acknowledgement. */
  onStopRequested?: () => void;
  /** Something in a batch was refused for good; the rest of it is stored. */
  onRejected?: (rejection: Rejection) => void;
  /** Points, params and tags were dropped since the last such call, by `whenFull` or after an error. */
  onDropped?: (points: number) => void;
  /** The writer has ended: nothing that it holds can be stored. */
  onError?: (error: RunwireError) => void;
}

/** With their defaults. */
export interface WriterSettings extends WriterOptions {
  flushIntervalMs: number;
  maxBatchBytes: number;
  maxBufferedBytes: number;
  whenFull: "block" | "drop";
}

/** What is not given, or is 0, has its default. */
export function writerSettings(options: WriterOptions): WriterSettings {
  return {
    ...options,
    flushIntervalMs: options.flushIntervalMs ?? 200,
    maxBatchBytes: Math.min(options.maxBatchBytes || 512 << 10, MOST_BATCH_BYTES),
    maxBufferedBytes: options.maxBufferedBytes || 64 << 20,
    whenFull: options.whenFull ?? "block",
  };
}

/** What a callback throws must not end what serves it. */
export function tell<T>(callback: ((told: T) => void) | undefined, told: T): void {
  if (callback) guarded("a callback of a writer", () => callback(told));
}
