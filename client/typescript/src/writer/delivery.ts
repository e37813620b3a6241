// Brings what an outbox holds to the server, for as long as it takes.
import type { Calls } from "../call.js";
import { RunwireError } from "../error.js";
import { jitter } from "../retry.js";
import type { WriteAck } from "../v1/metric_pb.js";
import type { WriteAdvice } from "../v1/metric_service_pb.js";
import { Bell } from "./bell.js";
import type { Lane, Post } from "./lane.js";
import { tell, type WriterSettings } from "./options.js";
import type { Outbox, Sealed } from "./outbox.js";
import { Pace } from "./pace.js";
import { SingleLane } from "./single.js";
import { StreamLane } from "./stream.js";

const FIRST_PAUSE_MS = 100;
const LAST_PAUSE_MS = 5000;
// A call that ended sooner is not followed by another one at once.
const SHORT_MS = 1000;
// A fault of the server that does not pass is not one of the moment.
const MAX_FAULTS = 20;
// Without streams for so long where one has failed before it was opened: a proxy may let none pass.
const MISTRUST_MS = 10_000;
const PASSING = new Set(["UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "ABORTED", "UNKNOWN"]);

/** The loop of one writer. */
export class Delivery implements Post {
  readonly bell = new Bell();
  readonly pace: Pace;
  isClosed = false;
  /** Why it gave up. */
  error: RunwireError | undefined;
  readonly #calls: Calls;
  readonly #settings: WriterSettings;
  readonly #stop = new AbortController();
  #ended: Promise<void> | undefined;
  #streamsFrom = 0;
  #failures = 0;
  #draftSince = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    calls: Calls,
    settings: WriterSettings,
    readonly outbox: Outbox,
    readonly runId: string,
    readonly writerId: string,
  ) {
    this.#calls = calls;
    this.#settings = settings;
    this.pace = new Pace(outbox, settings.maxBatchBytes);
  }

  /** Something was put into an empty draft: it goes out after the interval at the latest. */
  began(): void {
    this.#draftSince = performance.now();
    this.#timer = setTimeout(() => this.wake(), this.#settings.flushIntervalMs);
  }

  /** There may be something to send. */
  wake(): void {
    this.#ended ??= this.#run();
    this.bell.ring();
  }

  due(sent: number): Sealed | undefined {
    const { outbox } = this;
    if (sent === outbox.sequence && this.#isDraftDue()) this.seal();
    return outbox.batch(sent + 1);
  }

  seal(): void {
    clearTimeout(this.#timer);
    this.outbox.seal();
  }

  stands(committed: number): void {
    const { outbox } = this;
    if (committed < outbox.acknowledged || !outbox.acknowledge(committed)) {
      const problem =
        `the server has ${committed} batches of writer ${this.writerId}, and had acknowledged ` +
        `${outbox.acknowledged}: it is another database, or an older copy`;
      throw new RunwireError("DATA_LOSS", problem, { reason: "SEQUENCE_GAP" });
    }
  }

  acknowledge(ack: WriteAck): void {
    this.#failures = 0;
    for (const rejection of ack.rejections) tell(this.#settings.onRejected, rejection);
    this.outbox.acknowledge(Number(ack.committedSequence));
    this.bell.ring();
  }

  heed(advice: WriteAdvice | undefined): void {
    const before = this.pace.stopRequested;
    this.pace.heed(advice);
    if (this.pace.stopRequested && !before) tell(this.#settings.onStopRequested, undefined);
  }

  /** Lets what is under way come to its end. */
  close(): Promise<void> {
    this.isClosed = true;
    this.bell.ring();
    return this.#ended ?? Promise.resolve();
  }

  /** Ends at once; `loss` is for who waits for what is lost by it. */
  abort(loss?: RunwireError): void {
    this.error ??= loss;
    this.isClosed = true;
    clearTimeout(this.#timer);
    this.#stop.abort();
    this.bell.ring();
  }

  #isDraftDue(): boolean {
    if (this.isClosed) return true;
    return performance.now() - this.#draftSince >= this.#settings.flushIntervalMs - 1;
  }

  async #run(): Promise<void> {
    while (!this.#isDone()) {
      const lane = this.#lane();
      const began = performance.now();
      try {
        await lane.run(this.#stop.signal);
        if (performance.now() - began < SHORT_MS)
          await this.#pause(jitter(1, FIRST_PAUSE_MS, LAST_PAUSE_MS));
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        await this.#failed(lane, error);
      }
    }
  }

  #isDone(): boolean {
    if (this.error || this.#stop.signal.aborted) return true;
    return this.isClosed && this.outbox.isEmpty;
  }

  #lane(): Lane {
    const now = performance.now();
    if (!this.#calls.connection.streams) return new SingleLane(this.#calls, this);
    if (now < this.#streamsFrom) return new SingleLane(this.#calls, this, this.#streamsFrom);
    return new StreamLane(this.#calls, this);
  }

  async #failed(lane: Lane, thrown: unknown): Promise<void> {
    const error = asError(thrown);
    this.#failures = lane.opened ? 1 : this.#failures + 1;
    if (!this.#mayPass(error)) return this.#giveUp(error);
    if (lane instanceof StreamLane && !lane.opened && !error.reason) {
      this.#streamsFrom = performance.now() + MISTRUST_MS;
    }
    const pauseMs = jitter(this.#failures, FIRST_PAUSE_MS, LAST_PAUSE_MS);
    await this.#pause(pauseMs + (error.retryAfterMs ?? 0));
  }

  #mayPass(error: RunwireError): boolean {
    if (error.code === "RESOURCE_EXHAUSTED") return error.retryAfterMs !== undefined;
    if (error.code === "INTERNAL" || error.reason === "SEQUENCE_GAP") {
      return error.code !== "DATA_LOSS" && this.#failures <= MAX_FAULTS;
    }
    return PASSING.has(error.code);
  }

  async #pause(ms: number): Promise<void> {
    const end = performance.now() + ms;
    while (!this.#isDone() && performance.now() < end) {
      await this.bell.wait(end - performance.now());
    }
  }

  #giveUp(error: RunwireError): void {
    this.error = error;
    clearTimeout(this.#timer);
    tell(this.#settings.onError, error);
    this.bell.ring();
  }
}

/** A fault of our own, too, is told as what it is, and not tried for ever. */
function asError(thrown: unknown): RunwireError {
  if (thrown instanceof RunwireError) return thrown;
  return new RunwireError("INTERNAL", String(thrown), { cause: thrown });
}
