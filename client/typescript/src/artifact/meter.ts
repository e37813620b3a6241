/** Told bytes done, and bytes in all. */
export type Progress = (done: number, total: number) => void;

/** Adds up what several transfers have done. */
export class Meter {
  #done = 0;

  constructor(
    readonly progress: Progress | undefined,
    readonly total: number,
  ) {
    progress?.(0, total);
  }

  add(count: number): void {
    if (count === 0) return;
    this.#done += count;
    this.progress?.(this.#done, this.total);
  }
}
