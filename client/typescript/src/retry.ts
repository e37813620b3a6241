import { cancelled, type RunwireError } from "./error.js";
import { after } from "./timer.js";

// A server that restarts is back within these; one that is away is told within seconds.
const ATTEMPTS = 5;
const FIRST_DELAY_MS = 200;
const MAX_DELAY_MS = 2000;
// What a server may ask for with RetryInfo, all attempts together.
const PATIENCE_MS = 10_000;

/** Resolves after `ms` milliseconds; rejects with CANCELLED when the signal fires before. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(cancelled(signal));
    const stop = (): void => {
      clearTimeout(timer);
      reject(cancelled(signal));
    };
    const timer = after(ms, () => {
      signal?.removeEventListener("abort", stop);
      resolve();
    });
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Whether the same call may succeed in a moment. */
export function isPassing(error: RunwireError): boolean {
  if (error.code === "RESOURCE_EXHAUSTED") return error.retryAfterMs !== undefined;
  return error.code === "UNAVAILABLE" && error.reason !== "STORAGE_UNAVAILABLE";
}

/** Full jitter, so that waiting clients do not come back all at once. */
export function jitter(failures: number, firstMs: number, mostMs: number): number {
  return Math.random() * doubled(failures, firstMs, mostMs);
}

function doubled(failures: number, firstMs: number, mostMs: number): number {
  return Math.min(mostMs, firstMs * 2 ** Math.min(failures - 1, 20));
}

/**
 * Counts failures in a row and waits between them: what the server asks, and a delay that doubles,
 * of which half is left to chance: the other half is time enough for a restart.
 */
export class Retry {
  readonly #deadline: number;
  readonly #signal: AbortSignal | undefined;
  #failures = 0;
  #waitedMs = 0;

  /** `deadline` on the clock of `performance.now()`. */
  constructor(deadline = Infinity, signal?: AbortSignal) {
    this.#deadline = deadline;
    this.#signal = signal;
  }

  /** Waits before another attempt; false, at once, where there is to be none. */
  async wait(error: RunwireError): Promise<boolean> {
    this.#failures += 1;
    if (!isPassing(error) || this.#failures >= ATTEMPTS) return false;
    const halfMs = doubled(this.#failures, FIRST_DELAY_MS, MAX_DELAY_MS) / 2;
    const delayMs = (error.retryAfterMs ?? 0) + halfMs * (1 + Math.random());
    this.#waitedMs += delayMs;
    if (this.#waitedMs > PATIENCE_MS || performance.now() + delayMs >= this.#deadline) return false;
    await sleep(delayMs, this.#signal);
    return true;
  }

  /** It has worked: what fails from now on is another failure. */
  reset(): void {
    this.#failures = 0;
    this.#waitedMs = 0;
  }
}
