// The rows of one set of keys, as columns: what becomes a Frame. No object per point.
import { invalid } from "../error.js";

const FIRST_ROWS = 16;
const ROW_BYTES = 16; // a step and a time
const VALUE_BYTES = 8;
const FRAME_BYTES = 40; // tags and lengths of a frame and its columns
const ID_BYTES = 5;
const NAME_BYTES = 16; // tags, lengths and number of a name

/** Values by key, in the order in which the shape has its keys. */
export type Values = Readonly<Record<string, number>>;

/** Keys in their order, and the rows of them that are not in a batch yet. */
export class Shape {
  rows = 0;
  /** Of one more row in a batch. */
  readonly rowBytes: number;
  /** Of a frame of no rows. */
  readonly frameBytes: number;
  /** Of its names, at most; a row of more is split. */
  readonly nameBytes: number;
  /** As 64 bits, low half first, however the platform orders the bytes of one half. */
  steps = new Int32Array(2 * FIRST_ROWS);
  times = new Int32Array(2 * FIRST_ROWS);
  values: Float64Array;

  constructor(
    readonly keys: readonly string[],
    readonly ids: readonly number[],
  ) {
    this.rowBytes = ROW_BYTES + VALUE_BYTES * keys.length;
    this.frameBytes = FRAME_BYTES + ID_BYTES * keys.length;
    this.nameBytes = keys.reduce((sum, key) => sum + nameBytesOf(key), 0);
    this.values = new Float64Array(FIRST_ROWS * keys.length);
  }

  /** Puts values behind the last row, without counting them yet. False: they are of other keys. */
  put(values: Values): boolean {
    if (2 * this.rows === this.steps.length) this.#grow();
    const { keys, values: column } = this;
    const start = this.rows * keys.length;
    let place = 0;
    for (const key in values) {
      if (keys[place] !== key) return false;
      const value = values[key];
      if (typeof value !== "number") throw notANumber(key, value);
      column[start + place] = value;
      place += 1;
    }
    return place === keys.length;
  }

  /** As `put`, of the only key. */
  putOne(value: number): void {
    if (2 * this.rows === this.steps.length) this.#grow();
    if (typeof value !== "number") throw notANumber(this.keys[0] ?? "", value);
    this.values[this.rows] = value;
  }

  /** What was put is a row. */
  count(step: number | bigint, timeMicros: number | bigint): void {
    write64(this.steps, this.rows, step, "step");
    write64(this.times, this.rows, timeMicros, "time_micros");
    this.rows += 1;
  }

  /** Room for rows anew. What grew large in a burst is given back. */
  clear(): void {
    if (this.steps.length > 2 * FIRST_ROWS && 4 * this.rows < this.steps.length / 2) {
      this.#resize(Math.max(FIRST_ROWS, this.steps.length / 4), 0);
    }
    this.rows = 0;
  }

  #grow(): void {
    this.#resize(this.steps.length, this.rows);
  }

  #resize(rows: number, kept: number): void {
    const { steps, times, values } = this;
    const columns = this.keys.length;
    this.steps = new Int32Array(2 * rows);
    this.times = new Int32Array(2 * rows);
    this.values = new Float64Array(rows * columns);
    this.steps.set(steps.subarray(0, 2 * kept));
    this.times.set(times.subarray(0, 2 * kept));
    this.values.set(values.subarray(0, kept * columns));
  }
}

/** Of one name in a batch, at most. */
export function nameBytesOf(key: string): number {
  return NAME_BYTES + 3 * key.length;
}

const TWO_TO_32 = 0x1_0000_0000;

function write64(column: Int32Array, row: number, value: number | bigint, field: string): void {
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw invalid(field, `${value} is no integer that is exact`);
    column[2 * row] = (value % TWO_TO_32) | 0;
    column[2 * row + 1] = Math.floor(value / TWO_TO_32);
    return;
  }
  const wrapped = BigInt.asIntN(64, value);
  if (typeof value !== "bigint" || wrapped !== value)
    throw invalid(field, `${value} has over 64 bits`);
  column[2 * row] = Number(BigInt.asIntN(32, value));
  column[2 * row + 1] = Number(value >> 32n);
}

function notANumber(key: string, value: unknown): Error {
  return invalid("metrics", `${JSON.stringify(key)} is a ${typeof value}, not a number`);
}
