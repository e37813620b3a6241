import type { Calls } from "./call.js";
import { cancelled, invalid, RunwireError } from "./error.js";
import { meaning, type Resolved } from "./model.js";
import { after } from "./timer.js";
import type { ModelVersion } from "./v1/model_pb.js";
import type { ResolveModelsResponse } from "./v1/registry_service_pb.js";
import { Announcer, type OnChange } from "./watcher/announcer.js";
import { Follower } from "./watcher/follower.js";

const MAX_REFERENCES = 1000;

/** How models are watched. */
export interface WatcherOptions {
  /** Else the client's. */
  workspace?: string;
  /**
   * Told each change, first what each reference means at the start; several changes while it runs
   * are one. What it throws is logged.
   */
  onChange?: OnChange;
}

/**
 * Knows what references to models mean, and hears of it when that changes. Answers come from
 * memory; it follows the registry over restarts and outages of the server, during which the last
 * answers stay. It keeps the process alive until it is closed.
 *
 * ```ts
 * await using models = client.watchModels(["taxi@champion"], { onChange: ({ now }) => load(now) });
 * await models.ready({ timeoutMs: 30_000 });
 * console.log(models.get("taxi@champion").version);
 * ```
 */
export class ModelWatcher implements AsyncDisposable {
  /** As they were given, each once. */
  readonly references: readonly string[];
  readonly #follower: Follower;
  readonly #announcer: Announcer | undefined;
  readonly #ready: Promise<void>;
  #isReady: () => void = () => {};
  #answer: ResolveModelsResponse | undefined;
  #meanings = new Map<string, Resolved>();
  #confirmed: number | undefined;

  /** @internal */
  constructor(calls: Calls, references: Iterable<string>, options: WatcherOptions) {
    this.references = [...new Set(references)];
    check(this.references);
    this.#ready = new Promise((resolve) => (this.#isReady = resolve));
    this.#announcer = options.onChange && new Announcer(options.onChange);
    const workspace = options.workspace ?? calls.workspace;
    this.#follower = new Follower(calls, workspace, this.references, (answer) => {
      this.#hear(answer);
    });
  }

  /**
   * The version that a reference means, as far as is known; without any I/O. Throws NOT_FOUND while
   * it means nothing, UNAVAILABLE while nothing was heard of any server.
   */
  get(reference: string): ModelVersion {
    const found = this.#meanings.get(reference);
    if (found?.version) return found.version;
    if (found) throw found.error;
    if (!this.references.includes(reference)) throw invalid("reference", "it is not watched");
    const problem = `nothing was heard of ${reference} yet`;
    throw this.#follower.error ?? new RunwireError("UNAVAILABLE", problem);
  }

  /** Whether a server tells of changes now. */
  get connected(): boolean {
    return this.#follower.isConnected;
  }

  /**
   * Milliseconds since the answers were last known to be right: while connected, since a message of
   * the server, of which there is one every 15 s. Undefined: there are no answers.
   */
  get ageMs(): number | undefined {
    return this.#confirmed === undefined ? undefined : performance.now() - this.#confirmed;
  }

  /** Waits until there are answers. False: not in this time. Throws CANCELLED. */
  ready(options: { timeoutMs?: number; signal?: AbortSignal } = {}): Promise<boolean> {
    const { timeoutMs, signal } = options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(cancelled(signal));
      const timer = after(timeoutMs, () => resolve(false));
      signal?.addEventListener("abort", () => reject(cancelled(signal)), { once: true });
      void this.#ready.then(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  /** Ends it; the answers stay. No callback begins after this. */
  async close(): Promise<void> {
    this.#follower.close();
    this.#announcer?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #hear(answer: ResolveModelsResponse): void {
    this.#confirmed = performance.now();
    if (answer === this.#answer) return;
    this.#answer = answer;
    const meanings = answer.resolved.map(meaning);
    this.#meanings = new Map(meanings.map((one) => [one.reference, one]));
    this.#announcer?.tell(meanings);
    this.#isReady();
  }
}

/** Throws INVALID_ARGUMENT for what can never mean anything. */
function check(references: readonly string[]): void {
  if (references.length === 0 || references.length > MAX_REFERENCES) {
    throw invalid("references", `1 to ${MAX_REFERENCES}, not ${references.length}`);
  }
  for (const reference of references) {
    if (!/^[^@/]+[@/].+$/s.test(reference)) {
      throw invalid("references", `${reference} is not MODEL@ALIAS or MODEL/VERSION`);
    }
  }
}
