import { Client } from "runwire";

// Where RUNWIRE_TRACKING_URI says: http://host:5000 or grpc://host:5001.
await using client = new Client();

const run = await client.runs.create({
  experimentName: "quickstart",
  params: { lr: "0.001" },
  tags: { language: "typescript" },
});

const writer = client.writer(run.runId);
for (let step = 0; step < 100; step++) {
  await writer.log({ loss: 1 / (step + 1), accuracy: step / 100 }, step);
}
await writer.close(); // all of it is stored now

await client.runs.finish(run.runId);
const [loss] = await client.metrics.read([run.runId], { keys: ["loss"] });
console.log(`run ${run.runId}: ${loss?.values.length} points, the last ${loss?.values.at(-1)}`);
