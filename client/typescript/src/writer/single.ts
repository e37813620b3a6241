// One batch after the other, each in a call of its own: passes wherever requests do.
import type { Calls } from "../call.js";
import type { RunwireError } from "../error.js";
import { type LogBatchResponse, MetricService } from "../v1/metric_service_pb.js";
import { logRequest } from "./encode.js";
import type { Lane, Post } from "./lane.js";
import { ToldNames } from "./names.js";
import type { Sealed } from "./outbox.js";

const { logBatch, getWriter } = MetricService.method;

/** Calls of LogBatch. */
export class SingleLane implements Lane {
  opened = false;
  readonly #calls: Calls;
  readonly #post: Post;
  readonly #until: number;

  /** `until`, on the clock of `performance.now()`: not longer, if there is another lane to try. */
  constructor(calls: Calls, post: Post, until = Infinity) {
    this.#calls = calls;
    this.#post = post;
    this.#until = until;
  }

  /** Sends until there is nothing more to come, or its time is over. */
  async run(signal: AbortSignal): Promise<void> {
    const { bell, pace, outbox } = this.#post;
    while (performance.now() < this.#until) {
      const batch = pace.pauseMs <= 0 ? this.#post.due(outbox.acknowledged) : undefined;
      if (batch) await this.#send(batch, signal);
      else if (this.#post.isClosed && outbox.isEmpty) return;
      else if (pace.heartbeatMs <= 0) await this.#beat(signal);
      else await bell.wait(this.#pauseMs());
    }
  }

  async #send(batch: Sealed, signal: AbortSignal): Promise<void> {
    const { runId, writerId, pace, outbox } = this.#post;
    const beside = new ToldNames(outbox.names).tell(batch);
    pace.sent();
    try {
      const request = logRequest(runId, writerId, batch.bytes, beside);
      const response = await this.#calls.unary(logBatch, request, { signal });
      this.#hear(response);
    } catch (error) {
      if ((error as RunwireError).reason !== "SEQUENCE_GAP") throw error;
      await this.#locate(signal);
    }
  }

  async #beat(signal: AbortSignal): Promise<void> {
    const { runId, writerId, pace } = this.#post;
    pace.sent();
    this.#hear(await this.#calls.unary(logBatch, { runId, writerId }, { signal }));
  }

  async #locate(signal: AbortSignal): Promise<void> {
    const { runId, writerId } = this.#post;
    const found = await this.#calls.unary(getWriter, { runId, writerId }, { signal });
    this.#post.stands(Number(found.committedSequence));
  }

  #hear({ ack, advice }: LogBatchResponse): void {
    this.opened = true;
    this.#post.heed(advice);
    if (ack) this.#post.acknowledge(ack);
  }

  #pauseMs(): number {
    const { pace } = this.#post;
    const pause = pace.pauseMs > 0 ? pace.pauseMs : Infinity;
    return Math.min(pause, pace.heartbeatMs, this.#until - performance.now());
  }
}
