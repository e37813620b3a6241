// Several batches under way at once, on one StreamBatches call.
import { create } from "@bufbuild/protobuf";
import type { Calls } from "../call.js";
import { RunwireError } from "../error.js";
import { VERSION } from "../version.js";
import {
  MetricService,
  type StreamBatchesRequest,
  StreamBatchesRequestSchema,
  type StreamBatchesResponse,
} from "../v1/metric_service_pb.js";
import { streamRequest } from "./encode.js";
import type { Lane, Post } from "./lane.js";
import { ToldNames } from "./names.js";

// A server that opened no stream by then does not get to see its messages, or is not there.
const OPEN_MS = 10_000;
// One that acknowledges nothing for so long, with batches under way, has lost them.
const STALLED_MS = 60_000;

/** One call, up to its end. */
export class StreamLane implements Lane {
  readonly #calls: Calls;
  readonly #post: Post;
  readonly #told: ToldNames;
  readonly #stalled = new AbortController();
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  #opened = false;
  #closing = false;
  #sent = 0;

  constructor(calls: Calls, post: Post) {
    this.#calls = calls;
    this.#post = post;
    this.#told = new ToldNames(post.outbox.names);
  }

  /** Whether the server has answered: streams pass. */
  get opened(): boolean {
    return this.#opened;
  }

  /** Sends until there is nothing more to come, or the server goes away. */
  async run(signal: AbortSignal): Promise<void> {
    const { streamBatches } = MetricService.method;
    const ends = AbortSignal.any([signal, this.#stalled.signal]);
    this.#watch(OPEN_MS);
    try {
      const responses = this.#calls.stream(streamBatches, this.#requests(), { signal: ends });
      for await (const response of responses) this.#hear(response);
      if (!this.#opened) throw new RunwireError("UNAVAILABLE", "a stream of batches just ended");
    } catch (error) {
      throw this.#stalled.signal.aborted ? this.#stalled.signal.reason : error;
    } finally {
      this.#closing = true;
      clearTimeout(this.#watchdog);
      this.#post.bell.ring();
    }
  }

  async *#requests(): AsyncGenerator<StreamBatchesRequest, void, void> {
    const { runId, writerId } = this.#post;
    const open = { runId, writerId, client: `typescript/${VERSION}` };
    yield message({ case: "open", value: open });
    this.#post.pace.sent();
    while (!this.#closing) {
      const request = this.#next();
      if (request) yield request;
      else if (this.#isOver()) return;
      else await this.#post.bell.wait(this.#pauseMs());
    }
  }

  #next(): StreamBatchesRequest | undefined {
    const { outbox, pace } = this.#post;
    if (!this.#opened) return undefined;
    if (pace.hasRoom(this.#sent) && pace.pauseMs <= 0) {
      const batch = this.#post.due(this.#sent);
      if (batch) {
        if (this.#sent === outbox.acknowledged) this.#watch(STALLED_MS);
        this.#sent = batch.sequence;
        pace.sent();
        return streamRequest(batch.bytes, this.#told.tell(batch));
      }
    }
    if (pace.heartbeatMs > 0) return undefined;
    pace.sent();
    return message({ case: "heartbeat", value: {} });
  }

  /** Nothing is to come, and nothing under way. */
  #isOver(): boolean {
    return this.#opened && this.#post.isClosed && this.#post.outbox.acknowledged === this.#sent;
  }

  #pauseMs(): number {
    if (!this.#opened) return Infinity;
    const { pace } = this.#post;
    const pause = pace.pauseMs;
    return pause > 0 ? Math.min(pause, pace.heartbeatMs) : pace.heartbeatMs;
  }

  #hear({ message: heard }: StreamBatchesResponse): void {
    if (heard.case === "opened") {
      this.#post.stands(Number(heard.value.committedSequence));
      this.#post.heed(heard.value.advice);
      this.#sent = this.#post.outbox.acknowledged;
      this.#opened = true;
    } else if (heard.case === "ack") {
      this.#post.acknowledge(heard.value);
      // What a stream before this one has sent may be acknowledged late: it need not go out again.
      this.#sent = Math.max(this.#sent, this.#post.outbox.acknowledged);
    } else if (heard.case === "advice") this.#post.heed(heard.value);
    else if (heard.case === "closing") this.#closing = true;
    this.#watch(this.#sent > this.#post.outbox.acknowledged ? STALLED_MS : Infinity);
    this.#post.bell.ring();
  }

  #watch(ms: number): void {
    clearTimeout(this.#watchdog);
    if (ms === Infinity) return;
    this.#watchdog = setTimeout(() => {
      const problem = `${this.#calls.connection.uri} says nothing on a stream of batches`;
      this.#stalled.abort(new RunwireError("UNAVAILABLE", problem));
    }, ms);
  }
}

function message(
  value: NonNullable<Parameters<typeof create<typeof StreamBatchesRequestSchema>>[1]>["message"],
): StreamBatchesRequest {
  return create(StreamBatchesRequestSchema, value ? { message: value } : {});
}
