import type { Calls, CallOptions } from "./call.js";
import { cancelled, invalid, RunwireError } from "./error.js";
import { newId } from "./id.js";
import type { Entries } from "./log.js";
import { sleep } from "./retry.js";
import { Delivery } from "./writer/delivery.js";
import { tell, type WriterOptions, writerSettings, type WriterSettings } from "./writer/options.js";
import { entryBytes, Outbox } from "./writer/outbox.js";
import { nameBytesOf, type Shape, type Values } from "./writer/shape.js";
import { Shapes } from "./writer/shapes.js";

// Wider rows are several: no batch may be larger than the server takes.
const MAX_KEYS = 1024;
const MAX_NAME_BYTES = 256 << 10;
// All is stored when a writer closes: its stream need not be ended with grace.
const GRACE_MS = 500;

/**
 * Streams what a training job logs to its run. `log` does no network I/O: rows wait in memory,
 * bounded, until they go out as batches, and each is kept until the server has it on disk. What
 * was logged arrives exactly once, however often the server or the network goes away, as long as
 * this process lives.
 *
 * ```ts
 * await using writer = client.writer(runId);
 * for (let step = 0; step < 1000; step++) {
 *   await writer.log({ loss: 1 / (step + 1), accuracy: step / 1000 }, step);
 * }
 * ```
 *
 * A permanent error (the run is gone, or over) ends it: `flush` and `close` throw it, `onError` is
 * told, and what is logged from then on is counted as dropped.
 */
export class Writer implements AsyncDisposable {
  /** Of chance; the server knows this writer by it. */
  readonly writerId = newId();
  readonly runId: string;
  readonly #settings: WriterSettings;
  readonly #shapes = new Shapes();
  readonly #outbox: Outbox;
  readonly #delivery: Delivery;
  readonly #timeoutMs: number;
  #last: Shape;
  #lastMicros = 0;
  #dropped = 0;
  #untold = 0;
  #closing: Promise<void> | undefined;

  /** @internal */
  constructor(calls: Calls, runId: string, options: WriterOptions) {
    this.runId = runId;
    this.#settings = writerSettings(options);
    this.#outbox = new Outbox(this.#shapes, this.#settings.maxBatchBytes);
    this.#delivery = new Delivery(calls, this.#settings, this.#outbox, runId, this.writerId);
    this.#timeoutMs = calls.timeoutMs;
    this.#last = this.#shapes.of({});
    this.#delivery.wake();
  }

  /**
   * Logs a row: values by key, at a step. Microseconds since 1970 unless given: now.
   *
   * Returns a promise only where the buffer is full and `whenFull` is `block`: awaiting it paces a
   * quick job. Where nobody awaits it, and the buffer has doubled, it throws RESOURCE_EXHAUSTED;
   * INVALID_ARGUMENT for what is no number or no integer of 64 bits.
   */
  log(
    values: Values,
    step: number | bigint = 0,
    timeMicros?: number | bigint,
  ): void | Promise<void> {
    const last = this.#last;
    if (last.keys.length > 0 && last.put(values)) return this.#add(last, step, timeMicros);
    const shape = this.#shapes.of(values);
    if (isWide(shape)) return this.#logWide(values, step, timeMicros ?? this.#now());
    if (shape.keys.length === 0) return;
    shape.put(values);
    this.#last = shape;
    return this.#add(shape, step, timeMicros);
  }

  /** Logs one value; as `log`. */
  logMetric(
    key: string,
    value: number,
    step: number | bigint = 0,
    timeMicros?: number | bigint,
  ): void | Promise<void> {
    const shape = this.#shapes.ofOne(key);
    shape.putOne(value);
    return this.#add(shape, step, timeMicros);
  }

  /** Write-once values of the run; as `log`. */
  logParams(params: Entries): void | Promise<void> {
    return this.#entries(params, (key, value, cost) => {
      if (this.#outbox.contradicts(key, value)) this.#sealDraft();
      this.#began();
      this.#outbox.param(key, value, cost);
    });
  }

  /** Notes by key, where the last write wins; as `log`. */
  logTags(tags: Entries): void | Promise<void> {
    return this.#entries(tags, (key, value, cost) => {
      this.#began();
      this.#outbox.tag(key, value, cost);
    });
  }

  /** Somebody asked the run to stop. */
  get stopRequested(): boolean {
    return this.#delivery.pace.stopRequested;
  }

  /** Points, params and tags that were dropped: by `whenFull`, or after an error. */
  get droppedPoints(): number {
    return this.#dropped;
  }

  /** Points, params and tags that the server has not acknowledged yet. */
  get pendingPoints(): number {
    return this.#outbox.points;
  }

  /** Why it gave up; undefined while it has not. */
  get error(): RunwireError | undefined {
    return this.#delivery.error;
  }

  /**
   * Resolves when all that was logged is durable and readable. Throws DEADLINE_EXCEEDED where that
   * takes longer than `timeoutMs` (else the client's), CANCELLED when the signal fires (nothing is
   * lost by either), or the error that ended this writer.
   */
  async flush(options: CallOptions = {}): Promise<void> {
    this.#tellDropped();
    this.#delivery.seal();
    const target = this.#outbox.sequence;
    if (target > this.#outbox.acknowledged) this.#delivery.wake();
    await this.#until(() => this.#outbox.acknowledged >= target, options);
  }

  /**
   * Flushes, and ends. Where that fails, what is not stored is lost: the writer has ended, and who
   * still waits for a flush is told. Called again, it is the same closing.
   */
  close(options: CallOptions = {}): Promise<void> {
    // Not begun before it is known: a callback may close, too.
    return (this.#closing ??= Promise.resolve().then(() => this.#close(options)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing === undefined) return this.close();
    await this.#closing.catch(() => {}); // who has closed it was told
  }

  async #close(options: CallOptions): Promise<void> {
    try {
      await this.flush(options);
      await Promise.race([this.#delivery.close(), sleep(GRACE_MS)]);
    } catch (error) {
      // Before the outbox is empty, which else looks as if all of it were stored.
      this.#delivery.abort(lost(error));
      throw error;
    } finally {
      this.#delivery.abort();
      this.#dropped += this.#outbox.points;
      this.#outbox.clear();
    }
  }

  #add(shape: Shape, step: number | bigint, timeMicros?: number | bigint): void | Promise<void> {
    const outbox = this.#outbox;
    const cost = outbox.cost(shape);
    const isRoom = this.#hasRoom(cost);
    if (this.#isRefused(isRoom, cost)) return this.#drop(shape.keys.length);
    if (outbox.isFull(cost)) return this.#addToNew(shape, step, timeMicros);
    this.#began();
    outbox.add(shape, cost, step, timeMicros ?? this.#now());
    if (!isRoom) return this.#room();
  }

  /** The draft is full: it becomes a batch, and the row the first one of another. */
  #addToNew(
    shape: Shape,
    step: number | bigint,
    timeMicros?: number | bigint,
  ): void | Promise<void> {
    const start = shape.rows * shape.keys.length;
    const row = shape.values.slice(start, start + shape.keys.length);
    this.#sealDraft();
    shape.values.set(row);
    return this.#add(shape, step, timeMicros);
  }

  #logWide(values: Values, step: number | bigint, timeMicros: number | bigint) {
    let room: void | Promise<void> = undefined;
    for (const part of narrow(values)) room = this.log(part, step, timeMicros) ?? room;
    return room;
  }

  /** Each is kept, dropped or refused by itself, as a row is. */
  #entries(
    entries: Entries,
    add: (key: string, value: string, cost: number) => void,
  ): void | Promise<void> {
    let isOver = false;
    // What is wrong with one of them is found before any of them is kept.
    for (const [key, value, cost] of Object.entries(entries).map(priced)) {
      const isRoom = this.#hasRoom(cost);
      if (this.#isRefused(isRoom, cost)) {
        this.#drop(1);
        continue;
      }
      if (this.#outbox.isFull(cost)) this.#sealDraft();
      add(key, value, cost);
      isOver ||= !isRoom;
    }
    if (isOver) return this.#room();
  }

  #began(): void {
    if (this.#outbox.draftBytes === 0) this.#delivery.began();
  }

  #sealDraft(): void {
    this.#delivery.seal();
    this.#delivery.wake();
  }

  /** What is larger than the bound fits where there is nothing else. */
  #hasRoom(cost: number): boolean {
    const { bytes } = this.#outbox;
    return bytes === 0 || bytes + cost <= this.#settings.maxBufferedBytes;
  }

  /** Whether something is not to be kept. Throws where the caller is at fault. */
  #isRefused(isRoom: boolean, cost: number): boolean {
    if (this.#closing) throw closed();
    if (this.#delivery.error) return true;
    if (isRoom) return false;
    if (this.#settings.whenFull === "drop") return true;
    if (this.#outbox.bytes + cost > 2 * this.#settings.maxBufferedBytes) throw unawaited();
    return false;
  }

  #drop(points: number): void {
    this.#dropped += points;
    if (this.#untold === 0) setTimeout(() => this.#tellDropped(), this.#settings.flushIntervalMs);
    this.#untold += points;
  }

  #tellDropped(): void {
    if (this.#untold > 0) tell(this.#settings.onDropped, this.#untold);
    this.#untold = 0;
  }

  /** Until the buffer has room. After an error there is nothing to wait for. */
  async #room(): Promise<void> {
    this.#delivery.wake();
    while (this.#outbox.bytes > this.#settings.maxBufferedBytes && !this.#delivery.error) {
      if (this.#delivery.isClosed) throw closed();
      await this.#delivery.bell.wait();
    }
  }

  async #until(isSo: () => boolean, { timeoutMs, signal }: CallOptions): Promise<void> {
    const deadline = performance.now() + (timeoutMs ?? this.#timeoutMs);
    const ring = (): void => this.#delivery.bell.ring();
    signal?.addEventListener("abort", ring, { once: true });
    try {
      while (!isSo()) {
        if (this.#delivery.error) throw this.#delivery.error;
        if (signal?.aborted) throw cancelled(signal);
        if (performance.now() >= deadline) throw late();
        await this.#delivery.bell.wait(deadline - performance.now());
      }
    } finally {
      signal?.removeEventListener("abort", ring);
    }
    if (this.#delivery.error) throw this.#delivery.error;
  }

  /** Each row has a time of its own, so that of two the later one is the last value. */
  #now(): number {
    return (this.#lastMicros = Math.max(Date.now() * 1000, this.#lastMicros + 1));
  }
}

function isWide({ keys, nameBytes }: Shape): boolean {
  return keys.length > MAX_KEYS || (keys.length > 1 && nameBytes > MAX_NAME_BYTES);
}

/** A wide row as several: a batch must have room for all names of a row. */
function* narrow(values: Values): Generator<Values, void, void> {
  let part: [string, number][] = [];
  let bytes = 0;
  for (const entry of Object.entries(values)) {
    const size = nameBytesOf(entry[0]);
    if (part.length === MAX_KEYS || (part.length > 0 && bytes + size > MAX_NAME_BYTES)) {
      yield Object.fromEntries(part);
      part = [];
      bytes = 0;
    }
    part.push(entry);
    bytes += size;
  }
  yield Object.fromEntries(part);
}

/** With what it takes in a batch. Throws INVALID_ARGUMENT where it is nothing for one. */
function priced([key, value]: [string, string]): [key: string, value: string, cost: number] {
  if (typeof value !== "string") throw invalid(key, `a ${typeof value}, not a string`);
  return [key, value, entryBytes(key, value)];
}

function lost(cause: unknown): RunwireError {
  const problem = "this writer was closed before all of it was stored: the rest is lost";
  return new RunwireError("FAILED_PRECONDITION", problem, { cause });
}

function closed(): RunwireError {
  return new RunwireError("FAILED_PRECONDITION", "this writer is closed");
}

function late(): RunwireError {
  return new RunwireError("DEADLINE_EXCEEDED", "not everything was acknowledged in time");
}

function unawaited(): RunwireError {
  const problem = "the buffer of a writer is full, and nobody awaits the promises of its log()";
  return new RunwireError("RESOURCE_EXHAUSTED", problem);
}
