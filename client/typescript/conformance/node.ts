import { createInterface } from "node:readline";
import { Client } from "../src/node.js";
import { Runner } from "./runner.js";

const all = "runs search writer files streams registry watcher cancel bounded tls";
const runner = new Runner({
  transport: "grpc",
  capabilities: all.split(" "),
  connect: (options) => new Client(options),
  upload: async (client, runId, path, file, onProgress) =>
    (await (client as Client).artifacts.uploadFile(runId, file, path, { onProgress }))[0]!,
  download: (client, runId, path, file, onProgress) =>
    (client as Client).artifacts.downloadFile(runId, path, file, { onProgress }),
});
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${await runner.answer(line)}\n`);
}
await runner.close();
