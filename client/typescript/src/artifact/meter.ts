import { watched } from "../callback.js";

/** Told bytes done, and bytes in all. */
export type Progress = (done: number, total: number) => void;

/** Adds up what several transfers have done. */
export class Meter {
  #done = 0;

  constructor(
    readonly progress: Progress | undefined,
    readonly total: number,
  ) {
    this.#tell();
  }

  add(count: number): void {
    if (count === 0) return;
    this.#done += count;
    this.#tell();
  }

  /** What it throws at once ends the transfer. */
  #tell(): void {
    if (this.progress) watched("a callback of a transfer", this.progress(this.#done, this.total));
  }
}
