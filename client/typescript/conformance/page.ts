// The part of conformance-web that runs in the browser.
import { Client } from "../src/web.js";
import { Runner } from "./runner.js";

const given = new URLSearchParams(location.search);
const protocol = given.get("protocol") === "grpc-web" ? "grpc-web" : "connect";
const user = given.get("user") ?? "";
const runner = new Runner({
  transport: "web",
  capabilities: "runs search writer streams registry watcher cancel bounded".split(" "),
  connect: (options) => new Client({ ...options, protocol, user }),
});

Object.assign(globalThis, { answer: (line: string) => runner.answer(line) });
