import type { Calls, CallOptions } from "./call.js";
import { cancelled, invalid, RunwireError } from "./error.js";
import { newId } from "./id.js";
import type { Entries } from "./log.js";
import { sleep } from "./retry.js";
import { Delivery } from "./writer/delivery.js";
import { tell, type WriterOptions, writerSettings, type WriterSettings } from "./writer/options.js";
import { entryBytes, Outbox } from "./writer/outbox.js";
import type { Shape, Values } from "./writer/shape.js";
import { Shapes } from "./writer/shapes.js";

// Wider rows are several: no batch may be larger than a message.
const MAX_KEYS = 1024;
const MAX_ENTRY_BYTES = 256 << 10;
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
  #isClosing = false;

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
    if (shape.keys.length > MAX_KEYS) return this.#logWide(values, step, timeMicros ?? this.#now());
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
    return this.#entries(params, (key, value) => this.#outbox.param(key, value));
  }

  /** Notes by key, where the last write wins; as `log`. */
  logTags(tags: Entries): void | Promise<void> {
    return this.#entries(tags, (key, value) => this.#outbox.tag(key, value));
  }

  /** Somebody asked the run to stop. */
  get stopRequested(): boolean {
    return this.#delivery.pace.stopRequested;
  }

  /** Points that were dropped: by `whenFull`, or after an error. */
  get droppedPoints(): number {
    return this.#dropped;
  }

  /** Points that the server has not acknowledged yet. */
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

  /** Flushes, and ends. Where that fails, what is not stored is lost: the writer has ended. */
  async close(options: CallOptions = {}): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    try {
      await this.flush(options);
      await Promise.race([this.#delivery.close(), sleep(GRACE_MS)]);
    } finally {
      this.#delivery.abort();
      this.#dropped += this.#outbox.points;
      this.#outbox.clear();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #add(shape: Shape, step: number | bigint, timeMicros?: number | bigint): void | Promise<void> {
    const outbox = this.#outbox;
    const cost = outbox.cost(shape);
    const isRoom = outbox.bytes + cost <= this.#settings.maxBufferedBytes;
    if (this.#isRefused(isRoom, cost)) return this.#drop(shape.keys.length);
    if (outbox.isFull(cost)) return this.#addToNew(shape, step, timeMicros);
    if (outbox.draftBytes === 0) this.#delivery.began();
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
    this.#delivery.seal();
    this.#delivery.wake();
    shape.values.set(row);
    return this.#add(shape, step, timeMicros);
  }

  #logWide(values: Values, step: number | bigint, timeMicros: number | bigint) {
    const entries = Object.entries(values);
    let room: void | Promise<void> = undefined;
    for (let at = 0; at < entries.length; at += MAX_KEYS) {
      room = this.log(Object.fromEntries(entries.slice(at, at + MAX_KEYS)), step, timeMicros);
    }
    return room;
  }

  #entries(entries: Entries, add: (key: string, value: string) => void): void | Promise<void> {
    for (const [key, value] of Object.entries(entries)) {
      if (typeof value !== "string") throw invalid(key, `a ${typeof value}, not a string`);
      const cost = entryBytes(key, value);
      if (cost > MAX_ENTRY_BYTES) throw invalid(key, `has ${value.length} characters`);
      if (this.#isRefused(true, cost)) return;
      if (this.#outbox.isFull(cost)) {
        this.#delivery.seal();
        this.#delivery.wake();
      }
      if (this.#outbox.draftBytes === 0) this.#delivery.began();
      add(key, value);
    }
    if (this.#outbox.bytes > this.#settings.maxBufferedBytes) return this.#room();
  }

  /** Whether something is not to be kept. Throws where the caller is at fault. */
  #isRefused(isRoom: boolean, cost: number): boolean {
    if (this.#isClosing) throw closed();
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
