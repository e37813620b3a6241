import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { WriterOptions } from "../src/writer/options.js";
import {
  MetricService,
  type StreamBatchesRequest,
  type StreamBatchesResponseSchema,
} from "../src/v1/metric_service_pb.js";
import { Batches } from "./batches.js";
import { serviceError, TestClient } from "./server.js";

const QUICK: WriterOptions = { flushIntervalMs: 1 };

function begin(batches: Batches, options: WriterOptions = {}, streams = true) {
  const client = new TestClient(batches.routes, { streams });
  return client.writer("0".repeat(32), { ...QUICK, ...options });
}

const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2));

/** Rows of three shapes, as batches of some rows each. */
async function logRows(writer: ReturnType<typeof begin>, rows: number): Promise<void> {
  for (let step = 0; step < rows; step++) {
    await writer.log(step % 3 ? { loss: step, accuracy: step / 2 } : { loss: step }, step);
    if (step % 7 === 0) await writer.logMetric("alone", step, step);
    if (step % 10 === 0) await tick();
  }
}

function assertWhole(batches: Batches, rows: number): void {
  const losses = [...batches.points.get("loss")!].sort(([one], [other]) => Number(one - other));
  assert.deepEqual(
    losses,
    Array.from({ length: rows }, (_, step) => [BigInt(step), step]),
  );
}

test("what is logged arrives once, in batches under way at once", async () => {
  const batches = new Batches();
  await using writer = begin(batches);
  await logRows(writer, 100);
  await writer.flush();
  assertWhole(batches, 100);
  assert.equal(batches.points.get("alone")?.length, 15);
  assert.equal(writer.pendingPoints, 0);
  assert.equal(batches.opened, 1);
});

test("a writer goes on after every cut, without loss or repetition", async () => {
  const batches = new Batches();
  batches.cutAfter = 4;
  await using writer = begin(batches);
  await logRows(writer, 100);
  await writer.flush({ timeoutMs: 20_000 });
  assertWhole(batches, 100);
  assert.ok(batches.opened > 1);
});

test("a stream that closes is opened again", async () => {
  const batches = new Batches();
  batches.closeAfter = 2;
  await using writer = begin(batches);
  await logRows(writer, 60);
  await writer.flush();
  assertWhole(batches, 60);
  assert.ok(batches.opened > 1);
});

test("where streams do not pass, batches go one by one", async () => {
  const batches = new Batches();
  batches.noStreams = true;
  await using writer = begin(batches);
  await logRows(writer, 40);
  await writer.flush();
  assertWhole(batches, 40);
  assert.ok(batches.single > 0);
});

test("without streams at all, too", async () => {
  const batches = new Batches();
  await using writer = begin(batches, {}, false);
  await logRows(writer, 40);
  await writer.close();
  assertWhole(batches, 40);
  assert.equal(batches.opened, 0);
});

test("params and tags travel with the points", async () => {
  const batches = new Batches();
  await using writer = begin(batches);
  await writer.logParams({ lr: "0.1" });
  await writer.log({ loss: 1 });
  await writer.logTags({ team: "nlp" });
  await writer.flush();
  assert.deepEqual(batches.params, { lr: "0.1" });
});

test("a permanent error ends the writer, and is told by all", async () => {
  const batches = new Batches();
  batches.failure = serviceError(Code.FailedPrecondition, "RUN_SEALED", { state: "FINISHED" });
  const told: string[] = [];
  const writer = begin(batches, { onError: ({ reason }) => void told.push(reason) });
  await writer.log({ loss: 1 });
  await assert.rejects(writer.flush(), { reason: "RUN_SEALED" });
  await writer.log({ loss: 2, accuracy: 3 });
  assert.equal(writer.droppedPoints, 2);
  assert.equal(writer.error?.reason, "RUN_SEALED");
  await assert.rejects(writer.close(), { reason: "RUN_SEALED" });
  assert.deepEqual(told, ["RUN_SEALED"]);
  assert.equal(writer.droppedPoints, 3);
});

test("a flush ends in time, or with its signal, and loses nothing", async () => {
  const batches = new Batches();
  batches.failure = serviceError(Code.Unavailable, "DRAINING");
  await using writer = begin(batches);
  await writer.log({ loss: 0 }, 0);
  await assert.rejects(writer.flush({ timeoutMs: 5 }), { code: "DEADLINE_EXCEEDED" });
  const cancel = new AbortController();
  setTimeout(() => cancel.abort(), 5);
  await assert.rejects(writer.flush({ signal: cancel.signal }), { code: "CANCELLED" });
  batches.failure = undefined;
  await writer.flush({ timeoutMs: 20_000 });
  assertWhole(batches, 1);
});

test("a full buffer makes its writer wait", async () => {
  const batches = new Batches();
  batches.failure = serviceError(Code.Unavailable, "DRAINING");
  await using writer = begin(batches, { maxBufferedBytes: 20_000, maxBatchBytes: 4000 });
  let waited = 0;
  for (let step = 0; step < 5000; step++) {
    const room = writer.log({ loss: step }, step);
    if (room) waited += 1;
    batches.failure = room ? undefined : batches.failure;
    await room;
  }
  await writer.flush();
  assert.ok(waited > 0);
  assertWhole(batches, 5000);
});

test("a full buffer that nobody waits for is an error", async () => {
  const batches = new Batches();
  batches.failure = serviceError(Code.Unavailable, "DRAINING");
  const writer = begin(batches, { maxBufferedBytes: 2000 });
  const log = (): void => {
    for (let step = 0; step < 1000; step++) void writer.log({ loss: step }, step);
  };
  assert.throws(log, { code: "RESOURCE_EXHAUSTED" });
  batches.failure = undefined;
  await writer.close({ timeoutMs: 20_000 });
});

test("what is dropped is counted, and told", async () => {
  const batches = new Batches();
  let told = 0;
  const writer = begin(batches, {
    maxBufferedBytes: 2000,
    whenFull: "drop",
    onDropped: (points) => void (told += points),
  });
  for (let step = 0; step < 1000; step++) void writer.log({ loss: step }, step);
  await writer.close();
  const stored = batches.points.get("loss")!.length;
  assert.ok(stored > 0 && stored < 1000);
  assert.equal(writer.droppedPoints, 1000 - stored);
  assert.equal(told, 1000 - stored);
});

test("a row of many keys is stored whole, as several", async () => {
  const batches = new Batches();
  await using writer = begin(batches);
  const row = Object.fromEntries(Array.from({ length: 5000 }, (_, key) => [`key${key}`, key]));
  for (let step = 0; step < 3; step++) await writer.log(row, step);
  await writer.flush();
  assert.equal(batches.points.size, 5000);
  assert.deepEqual(batches.points.get("key4999"), [
    [0n, 4999],
    [1n, 4999],
    [2n, 4999],
  ]);
});

test("somebody's request to stop is told once", async () => {
  const batches = new Batches();
  batches.stopRequested = true;
  let told = 0;
  await using writer = begin(batches, { onStopRequested: () => void (told += 1) });
  await logRows(writer, 30);
  await writer.flush();
  assert.ok(writer.stopRequested);
  assert.equal(told, 1);
});

test("what can never be stored is refused at once, and takes nothing with it", async () => {
  const batches = new Batches();
  await using writer = begin(batches);
  const refused = { code: "INVALID_ARGUMENT" };
  await writer.log({ loss: 0 }, 0);
  assert.throws(() => writer.log({ loss: "high" as unknown as number }, 1), refused);
  assert.throws(() => writer.log({ loss: 1 }, 0.5), refused);
  assert.throws(() => writer.log({ loss: 1 }, 2n ** 63n), refused);
  assert.throws(() => writer.logMetric("k".repeat(5000), 1), refused);
  assert.throws(() => writer.logParams({ lr: 1 as unknown as string }), refused);
  await writer.log({}, 5);
  await writer.log({ loss: 1 }, 1);
  await writer.flush();
  assertWhole(batches, 2);
});

test("a closed writer takes nothing", async () => {
  const writer = begin(new Batches());
  await writer.close();
  await writer.close();
  assert.throws(() => writer.log({ loss: 1 }), { code: "FAILED_PRECONDITION" });
});

test("of two rows of one step the later one has the later time", async () => {
  const batches = new Batches();
  await using writer = begin(batches);
  await writer.log({ loss: 1 }, 0);
  await writer.log({ loss: 2, accuracy: 1 }, 0);
  await writer.log({ loss: 3 }, 0);
  await writer.flush();
  assert.equal(batches.points.get("loss")?.length, 3);
});

test("who waits for a flush is told where a close that fails has lost it", async () => {
  const batches = new Batches();
  batches.failure = serviceError(Code.Unavailable, "DRAINING");
  const writer = begin(batches);
  await writer.log({ loss: 1 });
  await writer.logTags({ team: "nlp" });
  const isLost = { code: "FAILED_PRECONDITION" };
  const waiting = assert.rejects(writer.flush(), isLost);
  await assert.rejects(writer.close({ timeoutMs: 1 }), { code: "DEADLINE_EXCEEDED" });
  await waiting;
  await assert.rejects(writer.flush(), isLost);
  assert.equal(writer.droppedPoints, 2);
  assert.equal(writer.error?.code, "FAILED_PRECONDITION");
});

test("a second close is the first one, and who disposes is not told twice", async () => {
  const batches = new Batches();
  batches.failure = serviceError(Code.Unavailable, "DRAINING");
  await using writer = begin(batches);
  await writer.log({ loss: 1 });
  const first = writer.close({ timeoutMs: 1 });
  assert.equal(writer.close(), first);
  await assert.rejects(first, { code: "DEADLINE_EXCEEDED" });
});

test("no batch is larger than a server takes, whatever is asked for", async () => {
  const batches = new Batches();
  await using writer = begin(batches, { maxBatchBytes: 4 << 20, flushIntervalMs: 60_000 });
  for (let step = 0; step < 50_000; step++) void writer.logMetric("loss", step, step);
  await writer.log(
    Object.fromEntries(Array.from({ length: 1000 }, (_, key) => [`${key}`.padEnd(2000, "k"), key])),
  );
  const value = "v".repeat(256 << 10);
  for (let key = 0; key < 5; key++) await writer.logTags({ [key]: value });
  await writer.flush();
  assert.ok(batches.largestBytes > 512 << 10);
  assert.ok(batches.largestBytes < 1 << 20);
  assert.equal(batches.points.size, 1001);
  assert.equal(batches.points.get("loss")?.length, 50_000);
  assert.deepEqual(batches.tags[4], value);
});

test("keys and values that fit no batch are refused at once, with all of their call", async () => {
  const batches = new Batches();
  await using writer = begin(batches);
  const key = "\u00fc".repeat(2049);
  const value = "v".repeat((256 << 10) + 1);
  const refused = (field: string) => ({ code: "INVALID_ARGUMENT", metadata: { field } });
  assert.throws(() => writer.log({ loss: 1, [key]: 1 }), refused("key"));
  assert.throws(() => writer.logMetric(key, 1), refused("key"));
  assert.throws(() => writer.logParams({ lr: "0.1", [key]: "" }), refused("key"));
  assert.throws(() => writer.logTags({ team: "nlp", note: value }), refused("value"));
  const half = "\ud83c"; // no UTF-8 has it
  assert.throws(() => writer.log({ loss: 1, [`loss/${half}`]: 1 }), refused("key"));
  assert.throws(() => writer.logParams({ lr: half }), refused("value"));
  await writer.logTags({ [key.slice(1)]: value.slice(1) });
  await writer.flush();
  assert.deepEqual([batches.points.size, batches.params], [0, {}]);
  assert.deepEqual(batches.tags, { [key.slice(1)]: value.slice(1) });
});

test("an acknowledgement of what another stream has sent takes a stream on", async () => {
  const sent: bigint[] = [];
  const advice = { maxUnackedBatches: 1 };
  async function* streamBatches(
    requests: AsyncIterable<StreamBatchesRequest>,
  ): AsyncGenerator<MessageInitShape<typeof StreamBatchesResponseSchema>> {
    for await (const { message } of requests) {
      if (message.case === "open") yield { message: { case: "opened", value: { advice } } };
      if (message.case !== "batch") continue;
      sent.push(message.value.sequence);
      // Of the three that there are, the second one has come on the way before.
      const committedSequence = sent.length === 1 ? 2n : message.value.sequence;
      yield { message: { case: "ack", value: { committedSequence } } };
    }
  }
  const client = new TestClient(({ service }) => service(MetricService, { streamBatches }));
  const writer = client.writer("0".repeat(32));
  const flushed: Promise<void>[] = [];
  for (let step = 0; step < 3; step++) {
    void writer.log({ loss: step }, step);
    flushed.push(writer.flush({ timeoutMs: 5000 }));
  }
  await Promise.all(flushed);
  assert.deepEqual(sent, [1n, 3n]);
  await writer.close();
});

test("a callback that fails later is logged, and ends nothing", async (t) => {
  const logged = t.mock.method(console, "error", () => {});
  const batches = new Batches();
  batches.failure = serviceError(Code.FailedPrecondition, "RUN_SEALED");
  const writer = begin(batches, { onError: () => Promise.reject(new Error("of the callback")) });
  await writer.log({ loss: 1 });
  await assert.rejects(writer.close(), { reason: "RUN_SEALED" });
  await new Promise(setImmediate);
  assert.equal(logged.mock.callCount(), 1);
});

test("two values of a param go in two batches, so that the second one is refused", async () => {
  const batches = new Batches();
  await using writer = begin(batches, { flushIntervalMs: 60_000 });
  for (const lr of ["0.1", "0.2", "0.2"]) await writer.logParams({ lr, seed: "7" });
  await writer.flush();
  assert.deepEqual(batches.paramsOfBatches, [
    { lr: "0.1", seed: "7" },
    { lr: "0.2", seed: "7" },
  ]);
});

test("params and tags keep to the bound as points do, and are dropped and counted", async () => {
  const batches = new Batches();
  batches.failure = serviceError(Code.Unavailable, "DRAINING");
  const limits = { maxBufferedBytes: 2000 };
  const dropping = begin(batches, { ...limits, whenFull: "drop" });
  const value = "v".repeat(100);
  for (let key = 0; key < 50; key++) void dropping.logTags({ [key]: value });
  for (let key = 0; key < 50; key++) void dropping.logParams({ [key]: value });
  const kept = dropping.pendingPoints;
  assert.ok(kept > 10 && kept < 2000 / 100);
  assert.equal(dropping.droppedPoints, 100 - kept);
  const blocking = begin(new Batches(), limits);
  let room: void | Promise<void> = undefined;
  for (let key = 0; !room; key++) room = blocking.logTags({ [key]: value });
  await room;
  batches.failure = undefined;
  await dropping.close();
  await blocking.close();
  assert.equal(Object.keys(batches.tags).length, kept);
});
