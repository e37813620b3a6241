import type { Client, Ops } from "./runner.js";

const BETWEEN_YIELDS = 1000;

/** Figures: what a call costs the caller. */
export function benchmarks(client: () => Client): Ops {
  return {
    bench_log: async ({ run_id, calls, keys }) => {
      const writer = client().writer(run_id);
      const row: Record<string, number> = {};
      for (let key = 0; key < keys; key++) row[`key${key}`] = key / 3;
      const start = performance.now();
      const spent: number[] = [];
      for (let call = 0; call < calls; call += BETWEEN_YIELDS) {
        spent.push(...logSome(writer, row, call, Math.min(BETWEEN_YIELDS, calls - call)));
        await writer.log(row, calls);
        await new Promise((resolve) => setTimeout(resolve));
      }
      await writer.flush();
      const seconds = (performance.now() - start) / 1000;
      await writer.close();
      return { call_ns: at(spent, 0.5) * 1e6, call_p99_ns: at(spent, 0.99) * 1e6, seconds };
    },
    bench_resolve: ({ reference, calls }) =>
      timed(calls, async () => void (await client().models.resolve(reference))),
    bench_read: ({ run_id, calls }) =>
      timed(calls, async () => void (await client().runs.get(run_id))),
  };
}

/** Milliseconds of a call, of ten at a time: a clock's reading costs as much as a call. */
function logSome(
  writer: ReturnType<Client["writer"]>,
  row: Record<string, number>,
  first: number,
  count: number,
): number[] {
  const spent: number[] = [];
  for (let call = 0; call < count; call += 10) {
    const start = performance.now();
    for (let one = 0; one < 10; one++) void writer.log(row, first + call + one);
    spent.push((performance.now() - start) / 10);
  }
  return spent;
}

async function timed(calls: number, call: () => Promise<void>) {
  const spent: number[] = [];
  for (let done = 0; done < calls; done++) {
    const start = performance.now();
    await call();
    spent.push(performance.now() - start);
  }
  return { p50_us: at(spent, 0.5) * 1000, p99_us: at(spent, 0.99) * 1000 };
}

function at(spent: number[], share: number): number {
  return spent.sort((one, other) => one - other)[Math.floor(spent.length * share)] ?? 0;
}
