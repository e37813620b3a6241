import type { ReadSeriesResponse_Points } from "../v1/metric_service_pb.js";

/** Points of one metric of one run, in three arrays of one length, ordered by step and time. */
export interface Series {
  runId: string;
  key: string;
  steps: BigInt64Array;
  /** Microseconds since 1970, UTC. */
  timesMicros: BigInt64Array;
  values: Float64Array;
}

/** Those of a series that have come. */
export class Columns {
  readonly #parts: ReadSeriesResponse_Points[] = [];

  constructor(
    readonly runId: string,
    readonly key: string,
  ) {}

  add(points: ReadSeriesResponse_Points): void {
    this.#parts.push(points);
  }

  series(): Series {
    const count = this.#parts.reduce((sum, { steps }) => sum + steps.length, 0);
    const steps = new BigInt64Array(count);
    const timesMicros = new BigInt64Array(count);
    const values = new Float64Array(count);
    let at = 0;
    for (const part of this.#parts) {
      steps.set(part.steps, at);
      timesMicros.set(part.timesMicros, at);
      values.set(part.values, at);
      at += part.steps.length;
    }
    return { runId: this.runId, key: this.key, steps, timesMicros, values };
  }
}
