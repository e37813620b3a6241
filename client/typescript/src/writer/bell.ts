import { after } from "../timer.js";

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

  /** Until the next ring, or for so many milliseconds at most. False: it was the time. */
  wait(ms = Infinity): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = after(ms, () => resolve(false));
      void this.#rung.then(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }
}
