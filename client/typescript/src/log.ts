// Single batches, each of a writer of its own: a repeat after a lost answer is not stored twice.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Calls, CallOptions } from "./call.js";
import { newId } from "./id.js";
import { type MetricBatchSchema, type Rejection } from "./v1/metric_pb.js";
import { LogBatchRequestSchema, MetricService } from "./v1/metric_service_pb.js";

/** Values by key. */
export type Entries = Readonly<Record<string, string>>;

/** What goes into one batch. */
export interface Logged {
  params?: Entries;
  tags?: Entries;
  metrics?: Readonly<Record<string, number>>;
  step?: number | bigint;
  timeMicros?: number | bigint;
}

/** Stores one batch; what was refused of it comes back. */
export async function logged(
  calls: Calls,
  runId: string,
  entries: Logged,
  options: CallOptions,
): Promise<Rejection[]> {
  const { params = {}, tags = {} } = entries;
  const batch = { sequence: 1n, params: { ...params }, tags: { ...tags }, ...points(entries) };
  const request = create(LogBatchRequestSchema, { runId, writerId: newId(), batch });
  const response = await calls.unary(MetricService.method.logBatch, request, options);
  return response.ack?.rejections ?? [];
}

function points({
  metrics,
  step = 0,
  timeMicros,
}: Logged): MessageInitShape<typeof MetricBatchSchema> {
  const keys = Object.keys(metrics ?? {});
  if (keys.length === 0) return {};
  const series = keys.map((key, place) => ({ id: place + 1, key }));
  const frame = {
    series: series.map(({ id }) => id),
    steps: [BigInt(step)],
    timesMicros: [BigInt(timeMicros ?? Date.now() * 1000)],
    values: Object.values(metrics ?? {}),
  };
  return { series, frames: [frame] };
}
