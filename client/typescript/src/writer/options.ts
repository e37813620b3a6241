import type { RunwireError } from "../error.js";
import type { Rejection } from "../v1/metric_pb.js";

/** How a writer works; every field has a default. */
export interface WriterOptions {
  /** Milliseconds for which what was logged may wait for more of it. 200. */
  flushIntervalMs?: number;
  /** Of one batch, serialised. 512 KiB, or less where the server says so. */
  maxBatchBytes?: number;
  /** Of memory for what is not acknowledged. 64 MiB. */
  maxBufferedBytes?: number;
  /**
   * When that is full: `block` (the default) keeps the point, and the call returns a promise that
   * resolves when there is room again; `drop` drops the point, and counts it.
   */
  whenFull?: "block" | "drop";
  /** Somebody asked the run to stop: once, with the next acknowledgement. */
  onStopRequested?: () => void;
  /** Something in a batch was refused for good; the rest of it is stored. */
  onRejected?: (rejection: Rejection) => void;
  /** Points were dropped since the last such call, by `whenFull` or after an error. */
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
    maxBatchBytes: options.maxBatchBytes || 512 << 10,
    maxBufferedBytes: options.maxBufferedBytes || 64 << 20,
    whenFull: options.whenFull ?? "block",
  };
}

/** What a callback throws must not end what serves it. */
export function tell<T>(callback: ((told: T) => void) | undefined, told: T): void {
  try {
    callback?.(told);
  } catch (error) {
    console.error("runwire: a callback of a writer failed:", error);
  }
}
