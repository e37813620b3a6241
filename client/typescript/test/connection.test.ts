import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { Client } from "../src/node.js";

/** A web port that takes requests, and never answers. */
async function silent(t: TestContext) {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = new Client(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  t.after(async () => {
    await client.close();
    server.closeAllConnections();
    server.close();
  });
  return { client, server };
}

test("a deadline holds while it is asked where gRPC is served", async (t) => {
  const { client } = await silent(t);
  const call = client.runs.get("x", { timeoutMs: 20 });
  await assert.rejects(call, { code: "DEADLINE_EXCEEDED" });
});

test("a signal does, too", async (t) => {
  const { client, server } = await silent(t);
  const cancel = new AbortController();
  server.on("request", () => cancel.abort());
  const call = client.runs.get("x", { signal: cancel.signal });
  await assert.rejects(call, { code: "CANCELLED" });
});

test("what waits for it ends when its client is closed", { timeout: 5000 }, async (t) => {
  const { client, server } = await silent(t);
  server.on("request", () => void client.close());
  await assert.rejects(client.runs.get("x"), { code: "FAILED_PRECONDITION" });
});
