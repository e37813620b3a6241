// Timers take no more; who waits looks again.
const MOST_MS = 0x7fff_ffff;

/** Wakes who waits for a change; what is true is for them to look at. */
export class Bell {
  #wake: () => void = () => {};
  #rung: Promise<void>;

  constructor() {
    this.#rung = new Promise((resolve) => (this.#wake = resolve));
  }

  ring(): void {
    this.#wake();
    this.#rung = new Promise((resolve) => (this.#wake = resolve));
  }

  /** Until the next ring, or for so many milliseconds. False: it was the time. */
  wait(ms = Infinity): Promise<boolean> {
    if (ms === Infinity) return this.#rung.then(() => true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), Math.min(Math.max(0, ms), MOST_MS));
      void this.#rung.then(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }
}
