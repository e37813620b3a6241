import { durationMs } from "@bufbuild/protobuf/wkt";
import type { WriteAdvice } from "../v1/metric_service_pb.js";
import type { Outbox } from "./outbox.js";

const WINDOW_BATCHES = 8;
const WINDOW_BYTES = 8 << 20;
/** Silence after which a server is told that this writer lives. */
export const HEARTBEAT_MS = 15_000;

/** How fast the server wants to be written to, and when it last heard of us. */
export class Pace {
  stopRequested = false;
  #windowBatches = WINDOW_BATCHES;
  #minIntervalMs = 0;
  #sentAt = -Infinity;

  constructor(
    readonly outbox: Outbox,
    readonly mostBatchBytes: number,
  ) {}

  heed(advice: WriteAdvice | undefined): void {
    if (advice === undefined) return;
    this.#windowBatches = Math.min(WINDOW_BATCHES, advice.maxUnackedBatches || WINDOW_BATCHES);
    this.#minIntervalMs = advice.minInterval ? durationMs(advice.minInterval) : 0;
    const bytes = Number(advice.maxBatchBytes) || this.mostBatchBytes;
    this.outbox.maxBatchBytes = Math.min(bytes, this.mostBatchBytes);
    this.stopRequested = advice.stopRequested;
  }

  sent(): void {
    this.#sentAt = performance.now();
  }

  /** Milliseconds until the next batch may go out. */
  get pauseMs(): number {
    return this.#sentAt + this.#minIntervalMs - performance.now();
  }

  /** Milliseconds until a heartbeat is due. */
  get heartbeatMs(): number {
    return this.#sentAt + HEARTBEAT_MS - performance.now();
  }

  /** Whether another batch may go out while those up to `sent` are under way. */
  hasRoom(sent: number): boolean {
    const { acknowledged } = this.outbox;
    if (sent - acknowledged >= this.#windowBatches) return false;
    let bytes = 0;
    for (let at = acknowledged + 1; at <= sent; at += 1) {
      bytes += this.outbox.batch(at)?.bytes.length ?? 0;
    }
    return bytes < WINDOW_BYTES;
  }
}
