import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "../src/address.js";
import { discover } from "../src/discover.js";
import { RunwireError } from "../src/error.js";

const isInvalid = (error: unknown): boolean =>
  error instanceof RunwireError && error.metadata.field === "tracking_uri";

test("gRPC addresses name one or several servers, with or without ports", () => {
  assert.deepEqual(parseAddress("grpc://ada").servers, ["ada:5001"]);
  assert.deepEqual(parseAddress("grpcs://ada,bob:6001/").servers, ["ada:5001", "bob:6001"]);
  assert.deepEqual(parseAddress("GRPC://[::1]:7").servers, ["[::1]:7"]);
});

test("a web address keeps its path, and its password is not shown", () => {
  const found = parseAddress("https://me:secret@host:5000/runwire/");
  assert.deepEqual(found.servers, ["me:secret@host:5000/runwire"]);
  assert.equal(found.shown, "https://me:***@host:5000/runwire");
});

test("what is no address of a server is refused, naming the field", () => {
  const wrong = [
    "",
    "host:5000",
    "sqlite:///x.db",
    "grpc://",
    "grpc://a/b",
    "grpc://a:0",
    "http://",
  ];
  for (const uri of [...wrong, "http://a,b", "grpc://a:b"]) {
    assert.throws(() => parseAddress(uri), isInvalid, uri);
  }
});

const answering = (status: number, body: string) => () => Promise.resolve({ status, body });

test("a web address is asked where gRPC is served", async () => {
  const found = (endpoint: string) =>
    discover(
      "http://web.example:5000",
      answering(200, JSON.stringify({ grpc_endpoint: endpoint })),
    );
  assert.equal(await found("grpc.example:77"), "grpc.example:77");
  assert.equal(await found(":6001"), "web.example:6001");
  assert.equal(await found("0.0.0.0:6001"), "web.example:6001");
  assert.equal(await found("[::]:6001"), "web.example:6001");
  assert.equal(await found("grpc.example"), "grpc.example:5001");
});

test("a web server of another kind is told from one that is away", async () => {
  for (const [status, body] of [
    [200, "<html>"],
    [200, "{}"],
    [404, ""],
  ] as const) {
    await assert.rejects(discover("http://x", answering(status, body)), isInvalid);
  }
  const isAway = { code: "UNAVAILABLE" };
  await assert.rejects(discover("http://x", answering(503, "")), isAway);
  await assert.rejects(
    discover("http://x", () => Promise.reject(new Error("refused"))),
    isAway,
  );
});
