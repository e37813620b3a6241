import { create } from "@bufbuild/protobuf";
import type { Calls, CallOptions } from "./call.js";
import { RunwireError } from "./error.js";
import { Pager } from "./pager.js";
import { Columns, type Series } from "./metric/series.js";
import type { SeriesInfo } from "./v1/metric_pb.js";
import {
  type ListSeriesResponse,
  MetricService,
  ReadSeriesRequest_Axis,
  ReadSeriesRequest_Reduce,
  ReadSeriesRequestSchema,
} from "./v1/metric_service_pb.js";

/** Which points, and how many. */
export interface ReadOptions {
  /** Exact keys. With neither these nor prefixes: every series. */
  keys?: string[];
  /** Beginnings of keys. */
  keyPrefixes?: string[];
  /** What `start` and `end` are measured on: steps (unless given), or microseconds. */
  axis?: "STEP" | "TIME" | "RELATIVE_TIME";
  /** Inclusive. */
  start?: number | bigint;
  /** Exclusive. */
  end?: number | bigint;
  /** Points of each series at most, chosen so that they keep the picture. All unless given. */
  maxPoints?: number;
  /** Ends it with CANCELLED. */
  signal?: AbortSignal;
}

/** What was logged, read again; all calls throw {@link RunwireError}. */
export class Metrics {
  readonly #calls: Calls;

  /** @internal */
  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** The series of a run with their counts, first and last steps and extremes, by key. */
  list(
    runId: string,
    options: CallOptions & { keyPrefix?: string; pageSize?: number } = {},
  ): Pager<SeriesInfo, ListSeriesResponse> {
    const { keyPrefix = "", pageSize = 0 } = options;
    const { listSeries } = MetricService.method;
    return new Pager(
      (pageToken) =>
        this.#calls.unary(listSeries, { runId, keyPrefix, pageSize, pageToken }, options),
      (page) => page.series,
    );
  }

  /**
   * Points of some runs as plain arrays, a series for each run and key, by run and then by key; a
   * cut is mended. Values are as they were written, bit for bit.
   *
   * ```ts
   * const [loss] = await client.metrics.read([runId], { keys: ["loss"] });
   * ```
   */
  async read(runIds: string[], options: ReadOptions = {}): Promise<Series[]> {
    const found: Columns[] = [];
    for await (const { runId, key, data } of this.#responses(runIds, options)) {
      if (data.case === "buckets") throw new RunwireError("INTERNAL", "buckets were not asked for");
      let columns = found.at(-1);
      if (columns?.runId !== runId || columns.key !== key) {
        found.push((columns = new Columns(runId, key)));
      }
      if (data.value) columns.add(data.value);
    }
    return found.map((columns) => columns.series());
  }

  #responses(runIds: string[], options: ReadOptions) {
    const { keys = [], keyPrefixes = [], axis = "STEP", start, end, maxPoints = 0 } = options;
    const request = create(ReadSeriesRequestSchema, {
      select: { runIds, keys, keyPrefixes },
      axis: ReadSeriesRequest_Axis[axis],
      reduce: maxPoints ? ReadSeriesRequest_Reduce.SHAPE : ReadSeriesRequest_Reduce.NONE,
      maxPoints,
      ...(start !== undefined && { rangeStart: BigInt(start) }),
      ...(end !== undefined && { rangeEnd: BigInt(end) }),
    });
    const { readSeries } = MetricService.method;
    return this.#calls.resuming(
      readSeries,
      request,
      ({ resume }) => {
        if (resume.length > 0) request.resume = resume;
      },
      { signal: options.signal },
    );
  }
}
