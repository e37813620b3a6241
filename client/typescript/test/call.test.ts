import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { RunwireError } from "../src/error.js";
import { errorOf } from "../src/status.js";
import { limitMs } from "../src/timer.js";
import { RunService } from "../src/v1/run_service_pb.js";
import { serviceError, TestClient } from "./server.js";

const RUN = { run: { runId: "0".repeat(32) } };

/** A client whose GetRun fails so many times before it answers. */
function failing(times: number, error: () => ConnectError, seen = { calls: 0 }) {
  const getRun = () => {
    if (++seen.calls <= times) throw error();
    return RUN;
  };
  const stopRun = getRun;
  return {
    client: new TestClient(({ service }) => void service(RunService, { getRun, stopRun })),
    seen,
  };
}

test("an error has its code, reason, metadata, message and delay", () => {
  const sent = serviceError(Code.Unavailable, "OVERLOADED", { limit: "größe" }, 1250);
  const error = errorOf(sent, "grpc://x");
  assert.equal(error.code, "UNAVAILABLE");
  assert.equal(error.reason, "OVERLOADED");
  assert.deepEqual(error.metadata, { limit: "größe" });
  assert.equal(error.retryAfterMs, 1250);
  assert.equal(error.message, "it is OVERLOADED");
});

test("what breaks on the way is UNAVAILABLE, whatever the transport calls it", () => {
  for (const code of [Code.Internal, Code.Unknown, Code.Aborted, Code.Canceled]) {
    const error = errorOf(new ConnectError("cut", code), "grpc://x");
    assert.deepEqual([error.code, error.reason], ["UNAVAILABLE", ""]);
  }
  const late = errorOf(new ConnectError("late", Code.DeadlineExceeded), "grpc://x");
  assert.equal(late.code, "DEADLINE_EXCEEDED");
});

test("damaged details leave code and text", () => {
  const sent = new ConnectError("text", Code.PermissionDenied);
  sent.details = [{ type: "google.rpc.ErrorInfo", value: new Uint8Array([0x0a, 0xff]) }];
  assert.deepEqual(errorOf(sent, "").code, "PERMISSION_DENIED");
});

test("a call is made again while the server is away", async () => {
  const { client, seen } = failing(3, () => serviceError(Code.Unavailable, "DRAINING", {}, 1));
  assert.equal((await client.runs.get(RUN.run.runId)).runId, RUN.run.runId);
  assert.equal(seen.calls, 4);
});

test("a call is made five times at most, and not for what does not pass", async () => {
  const away = failing(9, () => new ConnectError("no", Code.Unavailable));
  await assert.rejects(away.client.runs.get("x"), { code: "UNAVAILABLE" });
  assert.equal(away.seen.calls, 5);
  for (const reason of ["STORAGE_UNAVAILABLE", "NOT_FOUND"]) {
    const code = reason === "NOT_FOUND" ? Code.NotFound : Code.Unavailable;
    const { client, seen } = failing(9, () => serviceError(code, reason));
    await assert.rejects(client.runs.get("x"), { reason });
    assert.equal(seen.calls, 1);
  }
});

test("a deadline is for all attempts together", async () => {
  const { client, seen } = failing(9, () => serviceError(Code.Unavailable, "DRAINING", {}, 60_000));
  await assert.rejects(client.runs.get("x", { timeoutMs: 50 }), { reason: "DRAINING" });
  assert.equal(seen.calls, 1);
});

test("a signal ends a call, and the wait before another attempt", async () => {
  const { client } = failing(9, () => serviceError(Code.Unavailable, "DRAINING", {}, 4000));
  const cancel = new AbortController();
  const call = client.runs.get("x", { signal: cancel.signal });
  setTimeout(() => cancel.abort(new Error("enough")), 5);
  await assert.rejects(call, (error: RunwireError) => error.code === "CANCELLED");
  await assert.rejects(client.runs.get("x", { signal: cancel.signal }), { code: "CANCELLED" });
});

test("a run has an id of its own before it is created", async () => {
  const seen: string[] = [];
  const client = new TestClient(({ service }) =>
    service(RunService, {
      createRun: ({ run }) => {
        seen.push(run?.runId ?? "");
        if (seen.length === 1) throw new ConnectError("lost", Code.Unavailable);
        return { run: run! };
      },
    }),
  );
  const run = await client.runs.create({ name: "one" });
  assert.match(run.runId, /^[0-9a-f]{32}$/);
  assert.deepEqual(seen, [run.runId, run.runId]);
});

test("a search reads all pages, and each reading begins anew", async () => {
  const client = new TestClient(({ service }) =>
    service(RunService, {
      searchRuns: ({ pageToken }) => {
        const page = Number(pageToken || "0");
        const runs = [0, 1].map((place) => ({ runId: `${2 * page + place}` }));
        return { runs, nextPageToken: page < 2 ? `${page + 1}` : "" };
      },
    }),
  );
  const search = client.runs.search();
  for (let time = 0; time < 2; time++) {
    const found = (await search.toArray()).map(({ runId }) => runId);
    assert.deepEqual(found, ["0", "1", "2", "3", "4", "5"]);
  }
});

test("generated stubs go over the same connection", async () => {
  const { client } = failing(0, () => new ConnectError("", Code.Internal));
  assert.equal((await client.stubs(RunService).getRun({})).run?.runId, RUN.run.runId);
});

test("a deadline may be as far away as anybody likes", async () => {
  const seen: (number | undefined)[] = [];
  const client = new TestClient(({ service }) =>
    service(RunService, {
      getRun: async (_, { timeoutMs }) => {
        seen.push(timeoutMs());
        // A timer that overflows has fired by then.
        await new Promise((resolve) => setTimeout(resolve, 5));
        return RUN;
      },
    }),
  );
  for (const timeoutMs of [Infinity, 2 ** 31]) await client.runs.get("x", { timeoutMs });
  assert.equal(seen[0], undefined);
  assert.ok(seen[1]! > 80_000_000);
  assert.deepEqual([1e9, 7, -1].map(limitMs), [99_999_999, 7, 0]);
});

test("a client that is closed refuses every call", async () => {
  const { client, seen } = failing(0, () => new ConnectError("", Code.Internal));
  await client.close();
  const isClosed = { code: "FAILED_PRECONDITION" };
  await assert.rejects(client.runs.get("x"), isClosed);
  await assert.rejects(client.stubs(RunService).getRun({}), isClosed);
  await assert.rejects(client.artifacts.download("x", "y"), isClosed);
  const writer = client.writer("x");
  await writer.log({ loss: 1 });
  await assert.rejects(writer.flush(), isClosed);
  assert.equal(seen.calls, 0);
});
