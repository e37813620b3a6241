import type { RunwireError } from "../error.js";
import { sleep } from "../retry.js";

// So many attempts, and half a minute, without a single byte: longer than a server's restart.
const ATTEMPTS = 8;
const PATIENCE_MS = 30_000;
const FIRST_DELAY_MS = 200;
const MAX_DELAY_MS = 8000;
// Faults of a call that lost its place: begin again from what is stored.
const RESUMABLE = new Set(["OFFSET_GAP", "CHECKSUM_MISMATCH"]);

/** How long a transfer goes on through cuts: as long as it makes progress. */
export class Patience {
  #failures = 0;
  #firstAt = 0;
  readonly #signal: AbortSignal | undefined;

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  progress(): void {
    this.#failures = 0;
  }

  /** Waits; throws `error` where another attempt would not help, or there were enough. */
  async wait(error: RunwireError, again = false): Promise<void> {
    const now = performance.now();
    if (this.#failures === 0) this.#firstAt = now;
    this.#failures += 1;
    const isSpent = this.#failures >= ATTEMPTS && now - this.#firstAt >= PATIENCE_MS;
    if (isSpent || !(again || mayPass(error))) throw error;
    const delayMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (this.#failures - 1));
    const jittered = Math.max(delayMs, error.retryAfterMs ?? 0) * (0.5 + Math.random() / 2);
    await sleep(jittered, this.#signal);
  }
}

/** A full disk is no passing fault: what was acknowledged waits for the next upload. */
function mayPass(error: RunwireError): boolean {
  if (error.code === "UNAVAILABLE" || error.code === "DEADLINE_EXCEEDED") {
    return error.reason !== "STORAGE_UNAVAILABLE";
  }
  return RESUMABLE.has(error.reason);
}
