import type { RunwireError } from "../error.js";
import type { Resolved } from "../model.js";
import type { ModelVersion } from "../v1/model_pb.js";

/** A reference means another version. */
export interface ModelChange {
  reference: string;
  before: ModelVersion | undefined;
  /** Undefined: it means nothing, and `error` says why. */
  now: ModelVersion | undefined;
  error: RunwireError | undefined;
}

/** What it returns is awaited before the next change is told. */
export type OnChange = (change: ModelChange) => void | Promise<void>;

/**
 * Calls back one change at a time. What changes several times meanwhile is told as it is in the
 * end, and not at all where that is as it was.
 */
export class Announcer {
  readonly #onChange: OnChange;
  readonly #told = new Map<string, Resolved>();
  #latest: readonly Resolved[] = [];
  #isWorking = false;
  #closed = false;

  constructor(onChange: OnChange) {
    this.#onChange = onChange;
  }

  tell(meanings: readonly Resolved[]): void {
    this.#latest = meanings;
    if (this.#isWorking) return;
    this.#isWorking = true;
    void this.#work();
  }

  /** No callback begins after this. */
  close(): void {
    this.#closed = true;
  }

  async #work(): Promise<void> {
    await Promise.resolve(); // never while who tells is still at it
    for (let change = this.#next(); change; change = this.#next()) {
      try {
        await this.#onChange(change);
      } catch (error) {
        console.error(`runwire: the callback for ${change.reference} failed:`, error);
      }
    }
    this.#isWorking = false;
  }

  #next(): ModelChange | undefined {
    for (const now of this.#closed ? [] : this.#latest) {
      const { reference } = now;
      const before = this.#told.get(reference);
      this.#told.set(reference, now);
      if (content(before) === content(now)) continue;
      return { reference, before: before?.version, now: now.version, error: now.error };
    }
    return undefined;
  }
}

/** What makes it another version: notes, tags, aliases and stage do not. */
function content(meaning: Resolved | undefined): string {
  if (meaning?.version === undefined) return meaning?.error.reason ?? "";
  const { model, version, createTime, treeDigest, sourceUri } = meaning.version;
  const made = `${createTime?.seconds}.${createTime?.nanos}`;
  return JSON.stringify([model, `${version}`, made, treeDigest, sourceUri]);
}
