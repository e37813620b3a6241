// The part of conformance-web that runs in the browser.
import { Client } from "../src/web.js";
import { Runner } from "./runner.js";

const protocol = new URLSearchParams(location.search).get("protocol");
const runner = new Runner({
  transport: "web",
  capabilities: "runs search writer streams registry watcher cancel bounded".split(" "),
  connect: (options) =>
    new Client({ ...options, protocol: protocol === "grpc-web" ? "grpc-web" : "connect" }),
});

Object.assign(globalThis, { answer: (line: string) => runner.answer(line) });
