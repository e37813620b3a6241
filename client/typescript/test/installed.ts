// A program of somebody who has installed the package: every entry, with its types.
import { create } from "@bufbuild/protobuf";
import { Client, type Run, RunwireError, VERSION } from "runwire";
import { Client as NodeClient } from "runwire/node";
import { RunSchema, RunService } from "runwire/v1";
import { Client as WebClient } from "runwire/web";

const client: NodeClient = new Client("grpc://127.0.0.1:1");
const web = new WebClient({ uri: "http://127.0.0.1:1", timeoutMs: 100 });
const run: Run = create(RunSchema, { name: VERSION });
const calls = [
  client.runs.get(run.name, { timeoutMs: 100 }),
  web.runs.get(run.name),
  client.stubs(RunService).getRun({ runId: run.runId }),
];
// On a machine that is busy the time may be over before the connection is refused.
const expected = ["UNAVAILABLE", "DEADLINE_EXCEEDED"];
for (const call of await Promise.allSettled(calls)) {
  if (call.status !== "rejected") throw new Error("nobody is there to answer");
  const { reason } = call as { reason: unknown };
  if (reason instanceof RunwireError && !expected.includes(reason.code)) throw reason;
}
await Promise.all([client.close(), web.close()]);
