// Follows a registry over restarts and outages of its server.
import { type Calls, one } from "../call.js";
import { RunwireError } from "../error.js";
import { Models } from "../model.js";
import { jitter, sleep } from "../retry.js";
import {
  RegistryService,
  type ResolveModelsResponse,
  type WatchModelsResponse,
} from "../v1/registry_service_pb.js";

// Full jitter: thousands of programs whose server comes back do not come back as one.
const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 5000;
// A server speaks every 15 s; one that does not is gone without a word.
const SILENCE_MS = 45_000;

/** Told what the references mean now, on every message: also where that is as before. */
export type Take = (answer: ResolveModelsResponse) => void;

/**
 * Watches the models, and asks again what the references mean when one of them changes: so it need
 * not know what a change of a stage or a name does to a reference.
 */
export class Follower {
  isConnected = false;
  error: RunwireError | undefined;
  readonly #models: Models;
  readonly #names: string[];
  readonly #stop = new AbortController();
  #answer: ResolveModelsResponse | undefined;
  #revision = 0n;

  constructor(
    readonly calls: Calls,
    readonly workspace: string,
    readonly references: readonly string[],
    readonly take: Take,
  ) {
    this.#models = new Models(calls);
    this.#names = [...new Set(references.map(modelOf))].sort();
    void this.#work();
  }

  close(): void {
    this.#stop.abort();
    this.isConnected = false;
  }

  async #work(): Promise<void> {
    for (let failures = 0; !this.#stop.signal.aborted;) {
      const error = await this.#followOnce();
      if (this.calls.isClosed) this.close(); // no attempt can succeed any more
      failures = this.isConnected ? 1 : failures + 1;
      this.isConnected = false;
      this.error = error ?? this.error;
      const delayMs = jitter(failures + 1, FIRST_DELAY_MS, MAX_DELAY_MS);
      await sleep((error?.retryAfterMs ?? 0) + delayMs, this.#stop.signal).catch(() => {});
    }
  }

  /** One connection up to its end; what ended it. */
  async #followOnce(): Promise<RunwireError | undefined> {
    try {
      return await this.#follow();
    } catch (error) {
      if (error instanceof RunwireError) return error;
      return new RunwireError("INTERNAL", String(error), { cause: error });
    }
  }

  async #follow(): Promise<undefined> {
    const silence = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, silence.signal]);
    let timer = setTimeout(() => silence.abort(), SILENCE_MS);
    try {
      const { watchModels } = RegistryService.method;
      for await (const heard of this.calls.stream(watchModels, one(this.#request()), { signal })) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MS);
        if (heard.event.case === "expired") {
          this.#revision = 0n;
          return;
        }
        await this.#hear(heard);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #request() {
    const request = { workspace: this.workspace, models: this.#names, lastOnly: true };
    if (this.#revision === 0n) return request;
    return { ...request, start: { case: "afterRevision" as const, value: this.#revision } };
  }

  async #hear({ revision, event }: WatchModelsResponse): Promise<void> {
    const isNews = revision > this.#revision && event.case !== "mark";
    if (isNews || !this.isConnected || !this.#answer) this.#answer = await this.#ask(revision);
    for (const known of [this.#answer.revision, revision]) {
      if (known > this.#revision) this.#revision = known;
    }
    if (this.#stop.signal.aborted) return;
    this.isConnected = true;
    this.error = undefined;
    this.take(this.#answer);
  }

  async #ask(revision: bigint): Promise<ResolveModelsResponse> {
    const answer = await this.#resolve(this.references, revision).catch((error: RunwireError) => {
      if (error.code === "OUT_OF_RANGE") this.#revision = 0n; // the registry has another past now
      throw error;
    });
    const { resolved } = answer;
    for (let left = leftOut(resolved); left.length > 0;) {
      const asked = left.map((place) => resolved[place]!.reference);
      const more = await this.#resolve(asked, answer.revision);
      // Replaced, not merged: nothing of a fault must stay beside a version.
      left.forEach((place, at) => (resolved[place] = more.resolved[at] ?? resolved[place]!));
      const still = leftOut(resolved);
      if (still.length === left.length) break; // too large even alone: that is the answer
      left = still;
    }
    return answer;
  }

  #resolve(references: readonly string[], minRevision: bigint): Promise<ResolveModelsResponse> {
    const options = { minRevision, workspace: this.workspace, signal: this.#stop.signal };
    return this.#models.resolveAnswer([...references], options);
  }
}

/** Places of the answers that did not fit the message with the others. */
function leftOut(resolved: ResolveModelsResponse["resolved"]): number[] {
  return [...resolved.keys()].filter((place) => resolved[place]!.fault?.reason === "TOO_LARGE");
}

/** The model's name in a reference. */
export function modelOf(reference: string): string {
  return reference.slice(0, reference.search(/[@/]/));
}
