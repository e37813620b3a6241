// What was logged and is not acknowledged: a draft that grows, and batches that never change.
import { encodeBatch, type Name } from "./encode.js";
import type { Shape } from "./shape.js";
import type { Shapes } from "./shapes.js";
import { checkKey, checkValue, utf8Bytes } from "./utf8.js";

const BATCH_BYTES = 64; // of a batch without content
const ENTRY_BYTES = 16; // tags and lengths of a param or tag
// Names beside a batch of 1 MiB may take 3 MiB of a message of 4 MiB.
const BESIDE_SHARE = 3;
const MIN_BATCH_BYTES = 16 << 10;

/** A batch with its number; kept as it is until it is acknowledged. */
export interface Sealed {
  sequence: number;
  /** Behind its length, as `encodeBatch` makes it. */
  bytes: Uint8Array<ArrayBuffer>;
  points: number;
  /** Key sets that it uses. */
  shapes: readonly Shape[];
  /** Names that are in it. */
  declares: ReadonlySet<number>;
}

/** Not safe to be changed while a batch is made; nothing here waits. */
export class Outbox {
  /** Of batches and draft together. */
  bytes = 0;
  /** Of the draft. */
  draftBytes = 0;
  draftPoints = 0;
  /** Of the last batch made. */
  sequence = 0;
  #batches: Sealed[] = [];
  #maxBatchBytes: number;
  #shapes: Shape[] = [];
  #params = new Map<string, string>();
  #tags = new Map<string, string>();
  readonly #declared = new Set<number>();

  constructor(
    readonly names: Shapes,
    maxBatchBytes: number,
  ) {
    this.#maxBatchBytes = maxBatchBytes;
  }

  get maxBatchBytes(): number {
    return this.#maxBatchBytes;
  }

  set maxBatchBytes(bytes: number) {
    this.#maxBatchBytes = Math.max(MIN_BATCH_BYTES, bytes);
  }

  /** Of the last batch that is acknowledged. */
  get acknowledged(): number {
    return this.sequence - this.#batches.length;
  }

  /** Nothing is to be sent, and nothing to be acknowledged. */
  get isEmpty(): boolean {
    return this.#batches.length === 0 && this.draftBytes === 0;
  }

  /** The batch of a number; undefined where it is acknowledged or not made yet. */
  batch(sequence: number): Sealed | undefined {
    return this.#batches[sequence - this.acknowledged - 1];
  }

  /** Bytes that another row of a shape would add, at most. */
  cost(shape: Shape): number {
    return shape.rows > 0 ? shape.rowBytes : shape.rowBytes + this.#introduction(shape);
  }

  /** Whether a draft that is not empty cannot take so many bytes more. */
  isFull(cost: number): boolean {
    return this.draftBytes > 0 && this.draftBytes + cost > this.#maxBatchBytes;
  }

  /** Counts the row that was put into a shape. */
  add(shape: Shape, cost: number, step: number | bigint, timeMicros: number | bigint): void {
    shape.count(step, timeMicros);
    if (shape.rows === 1) this.#shapes.push(shape);
    this.draftPoints += shape.keys.length;
    this.#grow(cost);
  }

  /** Two values of a param must not meet in one batch, where only one would be seen. */
  contradicts(key: string, value: string): boolean {
    return (this.#params.get(key) ?? value) !== value;
  }

  param(key: string, value: string, cost: number): void {
    this.#params.set(key, value);
    this.draftPoints += 1;
    this.#grow(cost);
  }

  tag(key: string, value: string, cost: number): void {
    this.#tags.set(key, value);
    this.draftPoints += 1;
    this.#grow(cost);
  }

  /** Makes the draft a batch, where it holds anything. */
  seal(): void {
    if (this.draftBytes === 0) return;
    const shapes = this.#shapes;
    const names = this.#newNames(shapes);
    const sequence = (this.sequence += 1);
    const content = { sequence, names, shapes, params: this.#params, tags: this.#tags };
    const bytes = encodeBatch(content);
    const declares = new Set(names.map(({ id }) => id));
    this.#batches.push({ sequence, bytes, points: this.draftPoints, shapes, declares });
    this.bytes += bytes.length - this.draftBytes;
    this.#begin();
  }

  /** Forgets the batches up to this one. False: it forgets what the server has not got. */
  acknowledge(sequence: number): boolean {
    const count = sequence - this.acknowledged;
    if (count < 0 || count > this.#batches.length) return count < 0;
    for (const batch of this.#batches.splice(0, count)) this.bytes -= batch.bytes.length;
    return true;
  }

  /** Points, params and tags that are not acknowledged. */
  get points(): number {
    return this.#batches.reduce((sum, batch) => sum + batch.points, this.draftPoints);
  }

  /** Forgets everything. */
  clear(): void {
    this.#batches = [];
    this.#begin();
    this.bytes = 0;
  }

  #begin(): void {
    for (const shape of this.#shapes) shape.clear();
    this.#shapes = [];
    this.#params = new Map();
    this.#tags = new Map();
    this.draftBytes = this.draftPoints = 0;
  }

  #grow(cost: number): void {
    const bytes = cost + (this.draftBytes === 0 ? BATCH_BYTES : 0);
    this.draftBytes += bytes;
    this.bytes += bytes;
  }

  /** Bytes of a frame without rows, and of its names: in the batch, or later beside it. */
  #introduction(shape: Shape): number {
    const isDeclared = shape.ids.every((id) => this.#declared.has(id));
    const share = isDeclared ? BESIDE_SHARE : 1;
    return shape.frameBytes + Math.ceil(shape.nameBytes / share);
  }

  #newNames(shapes: readonly Shape[]): Name[] {
    const names: Name[] = [];
    for (const shape of shapes) {
      for (const id of shape.ids) {
        if (this.#declared.has(id)) continue;
        this.#declared.add(id);
        names.push({ id, key: this.names.key(id) });
      }
    }
    return names;
  }
}

/** Of a param or tag, at most. Throws INVALID_ARGUMENT where it would fit no batch. */
export function entryBytes(key: string, value: string): number {
  checkKey(key);
  checkValue(key, value);
  return ENTRY_BYTES + utf8Bytes(key) + utf8Bytes(value);
}
