// A server of batches in memory: what it acknowledged it keeps, and it goes away as it is told.
import { type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { type MetricBatch, MetricBatchSchema } from "../src/v1/metric_pb.js";
import {
  type LogBatchRequest,
  MetricService,
  type StreamBatchesRequest,
  type StreamBatchesResponseSchema,
} from "../src/v1/metric_service_pb.js";
import { serviceError } from "./server.js";

/** Keeps points by key, in the order in which they came. */
export class Batches {
  committed = 0;
  opened = 0;
  single = 0;
  heartbeats = 0;
  largest = 0;
  largestBytes = 0;
  stopRequested = false;
  /** Streams are refused. */
  noStreams = false;
  /** Every stream is cut after so many batches, its last ones without an answer. */
  cutAfter = Infinity;
  /** A stream says that it closes after so many batches. */
  closeAfter = Infinity;
  /** Thrown by every call. */
  failure: ConnectError | undefined;
  readonly points = new Map<string, [step: bigint, value: number][]>();
  readonly params: Record<string, string> = {};
  /** Each batch that had some, in turn. */
  readonly paramsOfBatches: Record<string, string>[] = [];
  readonly tags: Record<string, string> = {};

  readonly routes = ({ service }: ConnectRouter): void => {
    const batches = this;
    service(MetricService, {
      streamBatches: (requests) => batches.#stream(requests),
      logBatch: (request) => batches.#log(request),
      getWriter: () => ({ committedSequence: BigInt(batches.committed) }),
    });
  };

  get #advice() {
    return { stopRequested: this.stopRequested, maxUnackedBatches: 3, maxBatchBytes: 1n << 20n };
  }

  async *#stream(
    requests: AsyncIterable<StreamBatchesRequest>,
  ): AsyncGenerator<MessageInitShape<typeof StreamBatchesResponseSchema>> {
    const names = new Map<number, string>();
    let count = 0;
    for await (const { message, series } of requests) {
      for (const { id, key } of series) names.set(id, key);
      if (message.case === "open") {
        if (this.failure) throw this.failure;
        if (this.noStreams) throw new ConnectError("no streams here", Code.Unknown);
        this.opened += 1;
        const committedSequence = BigInt(this.committed);
        yield {
          message: { case: "opened" as const, value: { committedSequence, advice: this.#advice } },
        };
      } else if (message.case === "heartbeat") this.heartbeats += 1;
      else if (message.case === "batch") {
        this.#store(message.value, names);
        count += 1;
        if (count >= this.cutAfter) throw new ConnectError("cut", Code.Aborted);
        yield { message: { case: "ack" as const, value: this.#ack() } };
        if (count === this.closeAfter) yield { message: { case: "closing" as const, value: {} } };
      }
    }
  }

  #log({ batch, series }: LogBatchRequest) {
    if (this.failure) throw this.failure;
    this.single += 1;
    const names = new Map(series.map(({ id, key }) => [id, key]));
    if (batch) this.#store(batch, names);
    return { ack: this.#ack(), advice: this.#advice };
  }

  #ack() {
    return { committedSequence: BigInt(this.committed) };
  }

  #store(batch: MetricBatch, names: Map<number, string>): void {
    for (const { id, key } of batch.series) names.set(id, key);
    const sequence = Number(batch.sequence);
    if (sequence <= this.committed) return;
    if (sequence > this.committed + 1) throw serviceError(Code.OutOfRange, "SEQUENCE_GAP");
    this.committed = sequence;
    this.largestBytes = Math.max(this.largestBytes, toBinary(MetricBatchSchema, batch).length);
    Object.assign(this.params, batch.params);
    Object.assign(this.tags, batch.tags);
    if (Object.keys(batch.params).length > 0) this.paramsOfBatches.push({ ...batch.params });
    for (const { series, steps, values } of batch.frames) {
      this.largest = Math.max(this.largest, steps.length);
      steps.forEach((step, row) => {
        series.forEach((id, column) => {
          const key = names.get(id);
          if (key === undefined) throw serviceError(Code.InvalidArgument, "FIELD_INVALID");
          const value = values[row * series.length + column]!;
          if (!this.points.has(key)) this.points.set(key, []);
          this.points.get(key)!.push([step, value]);
        });
      });
    }
  }
}
