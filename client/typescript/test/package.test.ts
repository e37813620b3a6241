import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as node from "../src/node.js";
import * as v1 from "../src/v1.js";
import * as web from "../src/web.js";

const read = (path: string): string =>
  readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test("the version is that of the package", () => {
  assert.equal(node.VERSION, JSON.parse(read("package.json")).version);
});

test("the README's example is the program in example/", () => {
  const [, example] = /## Example\n[^]*?```ts\n([^]*?)```/.exec(read("README.md"))!;
  assert.equal(example, read("example/quickstart.ts"));
});

test("public names are few, and the same for node and web but for artifacts", () => {
  const shared = [
    "Artifacts",
    "Client",
    "Download",
    "Metrics",
    "ModelWatcher",
    "Models",
    "Pager",
    "Run_State",
    "Runs",
    "RunwireError",
    "Services",
    "VERSION",
    "Writer",
  ];
  assert.deepEqual(Object.keys(node).sort(), [...shared, "NodeArtifacts"].sort());
  assert.deepEqual(Object.keys(web).sort(), [...shared, "WebArtifacts"].sort());
  assert.ok("RunService" in v1 && "MetricBatchSchema" in v1);
});
