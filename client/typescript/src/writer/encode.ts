// Batches as bytes. Packed fixed-width fields are plain memory on the wire, so the columns of
// shapes are copied as they are. A test holds the bytes equal to what the real message gives.
// Encoding: https://protobuf.dev/programming-guides/encoding/.
import { create } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  type LogBatchRequest,
  LogBatchRequestSchema,
  type StreamBatchesRequest,
  StreamBatchesRequestSchema,
} from "../v1/metric_service_pb.js";
import type { Shape } from "./shape.js";

const IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
const LENGTH_DELIMITED = WireType.LengthDelimited;

/** A metric's number and name. */
export interface Name {
  id: number;
  key: string;
}

/** What goes into a batch. */
export interface Content {
  sequence: number;
  names: readonly Name[];
  shapes: readonly Shape[];
  params: ReadonlyMap<string, string>;
  tags: ReadonlyMap<string, string>;
}

/** A MetricBatch behind its length, as it stands in a request. */
export function encodeBatch(content: Content): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter().fork();
  writer.tag(1, WireType.Varint).int64(content.sequence);
  for (const { id, key } of content.names) {
    writer.tag(2, LENGTH_DELIMITED).fork();
    writer.tag(1, WireType.Varint).uint32(id).tag(2, LENGTH_DELIMITED).string(key).join();
  }
  for (const shape of content.shapes) encodeFrame(writer.tag(3, LENGTH_DELIMITED), shape);
  for (const entry of content.params) encodeEntry(writer.tag(4, LENGTH_DELIMITED), entry);
  for (const entry of content.tags) encodeEntry(writer.tag(5, LENGTH_DELIMITED), entry);
  return writer.join().finish();
}

/** The message that carries a batch, with names that it uses and does not declare. */
export function streamRequest(
  batch: Uint8Array<ArrayBuffer>,
  series: readonly Name[],
): StreamBatchesRequest {
  const request = create(StreamBatchesRequestSchema, { series: [...series] });
  // Written as it is: a field that the message itself does not set.
  request.$unknown = [{ no: 2, wireType: LENGTH_DELIMITED, data: batch }];
  return request;
}

/** The same for a call of its own. */
export function logRequest(
  runId: string,
  writerId: string,
  batch: Uint8Array<ArrayBuffer>,
  series: readonly Name[],
): LogBatchRequest {
  const request = create(LogBatchRequestSchema, { runId, writerId, series: [...series] });
  request.$unknown = [{ no: 3, wireType: LENGTH_DELIMITED, data: batch }];
  return request;
}

function encodeFrame(writer: BinaryWriter, shape: Shape): void {
  const { rows, ids } = shape;
  writer.fork();
  writer.tag(1, LENGTH_DELIMITED).fork();
  for (const id of ids) writer.uint32(id);
  writer.join();
  writer.tag(2, LENGTH_DELIMITED).bytes(bytesOf(shape.steps, 2 * rows));
  writer.tag(3, LENGTH_DELIMITED).bytes(bytesOf(shape.times, 2 * rows));
  writer.tag(4, LENGTH_DELIMITED).bytes(bytesOf(shape.values, rows * ids.length));
  writer.join();
}

function encodeEntry(writer: BinaryWriter, [key, value]: readonly [string, string]): void {
  writer.fork();
  writer.tag(1, LENGTH_DELIMITED).string(key).tag(2, LENGTH_DELIMITED).string(value).join();
}

/** The first numbers of a column in little-endian order. */
function bytesOf(column: Int32Array | Float64Array, count: number): Uint8Array {
  const size = column.BYTES_PER_ELEMENT;
  const bytes = new Uint8Array(column.buffer, column.byteOffset, count * size);
  if (IS_LITTLE_ENDIAN) return bytes;
  const swapped = bytes.slice();
  for (let at = 0; at < swapped.length; at += size) swapped.subarray(at, at + size).reverse();
  return swapped;
}
