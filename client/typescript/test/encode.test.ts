import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { encodeBatch, logRequest, streamRequest } from "../src/writer/encode.js";
import { entryBytes, Outbox } from "../src/writer/outbox.js";
import { Shapes } from "../src/writer/shapes.js";
import { MetricBatchSchema } from "../src/v1/metric_pb.js";
import { LogBatchRequestSchema, StreamBatchesRequestSchema } from "../src/v1/metric_service_pb.js";

const STEPS = [
  0n,
  -1n,
  1n,
  2n ** 31n,
  -(2n ** 31n),
  2n ** 32n,
  2n ** 53n - 1n,
  -(2n ** 53n) + 1n,
  2n ** 63n - 1n,
  -(2n ** 63n),
];

/** A batch of these steps, as the writer makes it. */
function batchOf(steps: (number | bigint)[]) {
  const shapes = new Shapes();
  const outbox = new Outbox(shapes, 1 << 20);
  const values = { loss: 0.1, "größe 🏃": -0, nan: NaN, infinite: -Infinity };
  const shape = shapes.of(values);
  for (const step of steps) {
    assert.ok(shape.put(values));
    outbox.add(shape, outbox.cost(shape), step, 1_700_000_000_123_456);
  }
  outbox.param("lr", "0.1", entryBytes("lr", "0.1"));
  outbox.tag("team", "nlp", entryBytes("team", "nlp"));
  outbox.seal();
  return { sealed: outbox.batch(1)!, values };
}

test("a batch has the bytes of the real message", () => {
  const { sealed, values } = batchOf(STEPS);
  const keys = Object.keys(values);
  const real = create(MetricBatchSchema, {
    sequence: 1n,
    series: keys.map((key, place) => ({ id: place + 1, key })),
    frames: [
      {
        series: keys.map((_, place) => place + 1),
        steps: STEPS,
        timesMicros: STEPS.map(() => 1_700_000_000_123_456n),
        values: STEPS.flatMap(() => Object.values(values)),
      },
    ],
    params: { lr: "0.1" },
    tags: { team: "nlp" },
  });
  const bytes = new BinaryReader(sealed.bytes).bytes();
  assert.deepEqual(bytes, toBinary(MetricBatchSchema, real));
});

test("sets of keys beyond many are forgotten, and keys keep their numbers", () => {
  const shapes = new Shapes();
  const [first, single] = [shapes.of({ a: 1, b: 2 }), shapes.ofOne("a")];
  for (let key = 0; key < Shapes.MOST; key++) shapes.of({ a: 1, [`key/${key}`]: 1 });
  for (const [before, now] of [
    [first, shapes.of({ a: 1, b: 2 })],
    [single, shapes.ofOne("a")],
  ] as const) {
    assert.notEqual(before, now);
    assert.deepEqual(before.ids, now.ids);
  }
});

test("steps are numbers or bigints, with the same bytes", () => {
  const exact = STEPS.filter((step) => Number.isSafeInteger(Number(step)));
  const numbers = batchOf(exact.map(Number)).sealed.bytes;
  assert.deepEqual(numbers, batchOf(exact).sealed.bytes);
});

test("requests carry a batch as it is", () => {
  const { sealed } = batchOf([1]);
  const names = [{ id: 9, key: "beside" }];
  const plain = new BinaryReader(sealed.bytes).bytes();
  const batch = fromBinary(MetricBatchSchema, plain);
  const streamed = toBinary(StreamBatchesRequestSchema, streamRequest(sealed.bytes, names));
  const { message, series } = fromBinary(StreamBatchesRequestSchema, streamed);
  assert.deepEqual([message.case, message.value], ["batch", batch]);
  assert.deepEqual(
    series.map(({ id, key }) => ({ id, key })),
    names,
  );
  const single = toBinary(LogBatchRequestSchema, logRequest("r", "w", sealed.bytes, names));
  const request = fromBinary(LogBatchRequestSchema, single);
  assert.deepEqual([request.runId, request.writerId, request.batch], ["r", "w", batch]);
});

test("an empty batch is a sequence alone", () => {
  const nothing = { names: [], shapes: [], params: new Map(), tags: new Map() };
  assert.deepEqual([...encodeBatch({ sequence: 300, ...nothing })], [3, 8, 0xac, 2]);
});

test("an outbox counts its bytes, and forgets what is acknowledged", () => {
  const shapes = new Shapes();
  const outbox = new Outbox(shapes, 1 << 20);
  for (let batch = 0; batch < 3; batch++) {
    const shape = shapes.ofOne(`key${batch % 2}`);
    shape.putOne(batch);
    outbox.add(shape, outbox.cost(shape), batch, batch);
    outbox.seal();
  }
  const sizes = [1, 2, 3].map((sequence) => outbox.batch(sequence)!.bytes.length);
  assert.equal(
    outbox.bytes,
    sizes.reduce((sum, size) => sum + size),
  );
  assert.deepEqual([...outbox.batch(1)!.declares], [1]);
  assert.deepEqual([...outbox.batch(3)!.declares], []);
  assert.ok(outbox.acknowledge(2));
  assert.ok(outbox.acknowledge(1));
  assert.equal(outbox.bytes, sizes[2]);
  assert.equal(outbox.acknowledge(4), false);
  assert.ok(outbox.acknowledge(3));
  assert.equal(outbox.bytes, 0);
});
