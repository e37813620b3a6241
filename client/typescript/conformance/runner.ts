// Does what requests say: see tests/conformance/README.md. What is of a platform comes in by Stage.
import { type DescMessage, toBinary } from "@bufbuild/protobuf";
import { type ModelWatcher, RunwireError, VERSION, type Writer } from "../src/exports.js";
import type { Services } from "../src/client.js";
import type { Artifacts, Uploaded } from "../src/artifact.js";
import * as v1 from "../src/v1.js";
import { decode64, encode64 } from "./base64.js";
import { benchmarks } from "./bench.js";
import { reserialized } from "./deterministic.js";
import { doubleOf, seriesMicros, seriesValue } from "./series.js";

export type Client = Services & { artifacts: Artifacts };
type Progress = (done: number, total: number) => void;

/** What differs between Node.js and a browser. */
export interface Stage {
  transport: "grpc" | "web";
  capabilities: string[];
  connect(options: { uri: string; token: string; timeoutMs: number }): Client;
  upload?(
    client: Client,
    runId: string,
    path: string,
    file: string,
    told: Progress,
  ): Promise<Uploaded>;
  download?(
    client: Client,
    runId: string,
    path: string,
    file: string,
    told: Progress,
  ): Promise<Uploaded>;
}

/** By name; arguments are what JSON holds. */
export type Ops = Record<string, (args: any) => unknown>;

interface Opened {
  writer: Writer;
  rejections: { key: string; reason: string }[];
}

interface Watched {
  watcher: ModelWatcher;
  changes: { reference: string; version: string | null }[];
  news: () => void;
}

/** One client, and the writers and watchers that belong to it. */
export class Runner {
  #client: Client | undefined;
  readonly #writers = new Map<string, Opened>();
  readonly #watchers = new Map<string, Watched>();
  readonly #ops: Ops;

  constructor(private readonly stage: Stage) {
    this.#ops = {
      ...this.#general(),
      ...this.#runs(),
      ...this.#written(),
      ...this.#artifacts(),
      ...this.#registry(),
      ...benchmarks(() => this.client),
    };
  }

  /** The answer to a line. */
  async answer(line: string): Promise<string> {
    const { id, op, args } = JSON.parse(line);
    try {
      const found = this.#ops[op];
      if (!found) throw new Error(`there is no op ${op}`);
      return JSON.stringify({ id, ok: (await found(args ?? {})) ?? {} });
    } catch (error) {
      return JSON.stringify({ id, error: told(error) });
    }
  }

  async close(): Promise<void> {
    for (const { watcher } of this.#watchers.values()) await watcher.close();
    for (const { writer } of this.#writers.values()) {
      await writer.close({ timeoutMs: 100 }).catch(() => {});
    }
    this.#watchers.clear();
    this.#writers.clear();
    await this.#client?.close();
    this.#client = undefined;
  }

  get client(): Client {
    if (!this.#client) throw new Error("connect comes first");
    return this.#client;
  }

  #general(): Ops {
    return {
      hello: () => ({
        language: "typescript",
        version: VERSION,
        transport: this.stage.transport,
        capabilities: this.stage.capabilities,
      }),
      connect: async ({ uri, token = "", timeout_s = 30 }) => {
        await this.close();
        this.#client = this.stage.connect({ uri, token, timeoutMs: timeout_s * 1000 });
      },
      server_info: async () =>
        message(v1.GetServerInfoResponseSchema, await this.client.serverInfo()),
      reserialize: ({ type, message }) => {
        const data = reserialized(descriptor(type), decode64(message));
        return { message: encode64(data) };
      },
    };
  }

  #runs(): Ops {
    const run = (found: v1.Run) => message(v1.RunSchema, found);
    return {
      create_run: async ({ experiment_name, name = "", params = {}, tags = {} }) => {
        const options = { experimentName: experiment_name, name, params, tags };
        return run(await this.client.runs.create(options));
      },
      get_run: async ({ run_id, timeout_s }) => {
        const options = timeout_s === undefined ? {} : { timeoutMs: timeout_s * 1000 };
        return run(await this.client.runs.get(run_id, options));
      },
      log_params: async ({ run_id, params }) =>
        refused(await this.client.runs.logParams(run_id, params)),
      log_tags: async ({ run_id, tags }) => refused(await this.client.runs.logTags(run_id, tags)),
      log_metrics: async ({ run_id, metrics }) => {
        const found = [];
        for (const { key, step, bits } of metrics) {
          const options = { step: BigInt(step) };
          found.push(
            ...(await this.client.runs.logMetrics(run_id, { [key]: doubleOf(bits) }, options)),
          );
        }
        return refused(found);
      },
      finish_run: async ({ run_id, state = "FINISHED" }) =>
        run(await this.client.runs.finish(run_id, state)),
      search_runs: async ({ filter = "", order_by = "", page_size = 0 }) => {
        const run_ids = [];
        const options = { filter, orderBy: order_by, pageSize: page_size };
        for await (const { runId } of this.client.runs.search(options)) run_ids.push(runId);
        return { run_ids };
      },
      cancel_get_run: async ({ run_id, after_ms }) => {
        const cancel = new AbortController();
        setTimeout(() => cancel.abort(), after_ms);
        return run(await this.client.runs.get(run_id, { signal: cancel.signal }));
      },
      stop_run: async ({ run_id }) => run(await this.client.runs.stop(run_id)),
    };
  }

  #written(): Ops {
    const opened = (name: string): Opened => {
      const found = this.#writers.get(name);
      if (!found) throw new Error(`no writer ${name}`);
      return found;
    };
    return {
      open_writer: ({
        run_id,
        flush_interval_ms,
        max_batch_bytes,
        max_buffered_bytes,
        when_full,
      }) => {
        const rejections: Opened["rejections"] = [];
        const writer = this.client.writer(run_id, {
          flushIntervalMs: flush_interval_ms ?? 200,
          maxBatchBytes: max_batch_bytes ?? 0,
          maxBufferedBytes: max_buffered_bytes ?? 0,
          whenFull: when_full ?? "block",
          onRejected: ({ key, fault }) => rejections.push({ key, reason: fault?.reason ?? "" }),
        });
        this.#writers.set(writer.writerId, { writer, rejections });
        return { writer: writer.writerId };
      },
      write: async ({ writer: name, points }) => {
        const { writer } = opened(name);
        for (const { key, step, time_micros, bits } of points) {
          await writer.logMetric(key, doubleOf(bits), BigInt(step), BigInt(time_micros));
        }
      },
      write_series: async ({ writer: name, key, count, seed, threads = 1 }) => {
        const { writer } = opened(name);
        const thread = async (from: number): Promise<void> => {
          for (let i = from; i < count; i += threads) {
            const room = writer.log({ [key]: seriesValue(BigInt(seed), i) }, i, seriesMicros(i));
            if (room) await room;
            else if (i % 10_000 < threads) await new Promise((resolve) => setTimeout(resolve));
          }
        };
        await Promise.all(Array.from({ length: threads }, (_, from) => thread(from)));
      },
      flush: ({ writer, timeout_s = 120 }) =>
        opened(writer).writer.flush({ timeoutMs: timeout_s * 1000 }),
      writer_status: ({ writer: name }) => {
        const { writer, rejections } = opened(name);
        return {
          stop_requested: writer.stopRequested,
          dropped_points: String(writer.droppedPoints),
          rejections,
          writer_id: writer.writerId,
          error: writer.error ? told(writer.error) : null,
        };
      },
      close_writer: async ({ writer: name, timeout_s = 120 }) => {
        await opened(name).writer.close({ timeoutMs: timeout_s * 1000 });
        this.#writers.delete(name);
      },
    };
  }

  #artifacts(): Ops {
    const transfer = (call: NonNullable<Stage["upload"]> | undefined) => {
      return async ({ run_id, path, file }: Record<string, string>) => {
        if (!call) throw new Error("files are not offered");
        const seen: number[] = [];
        const found = await call(this.client, run_id!, path!, file!, (done) => seen.push(done));
        return { digest: found.digest, size: String(found.size), progress: [seen[0], seen.at(-1)] };
      };
    };
    return {
      upload: transfer(this.stage.upload),
      download: transfer(this.stage.download),
      upload_data: async ({ run_id, path, data }) => {
        const found = await this.client.artifacts.upload(run_id, path, decode64(data));
        return { digest: found.digest, size: String(found.size) };
      },
      download_data: async ({ run_id, path }) => {
        const found = await this.client.artifacts.download(run_id, path);
        return { data: encode64(await found.bytes()) };
      },
      list_artifacts: async ({ run_id, prefix = "", recursive = true }) => {
        const found = await this.client.artifacts.list(run_id, { prefix, recursive }).toArray();
        return { paths: found.map(({ path }) => path) };
      },
    };
  }

  #registry(): Ops {
    const watched = (name: string): Watched => {
      const found = this.#watchers.get(name);
      if (!found) throw new Error(`no watcher ${name}`);
      return found;
    };
    const models = () => this.client.models;
    return {
      create_model: async ({ name }) => message(v1.ModelSchema, await models().create(name)),
      create_version: async ({ model, run_id, artifact_path = "", aliases = [] }) => {
        const options = { sourceRunId: run_id, sourcePath: artifact_path, aliases };
        return message(v1.ModelVersionSchema, await models().createVersion(model, options));
      },
      set_alias: async ({ model, alias, version, expected_version: expected }) => {
        const options = expected === undefined ? {} : { expectedVersion: BigInt(expected) };
        await models().setAlias(model, alias, BigInt(version), options);
      },
      resolve: async ({ references }) => ({
        resolved: (await models().resolveAll(references)).map(({ reference, version, error }) => ({
          reference,
          version: version ? String(version.version) : null,
          reason: error ? error.reason : null,
        })),
      }),
      open_watcher: ({ references }) => {
        const name = String(this.#watchers.size + 1);
        const made: Watched = { changes: [], news: () => {}, watcher: null as never };
        made.watcher = this.client.watchModels(references, {
          onChange: ({ reference, now }) => {
            made.changes.push({ reference, version: now ? String(now.version) : null });
            made.news();
          },
        });
        this.#watchers.set(name, made);
        return { watcher: name };
      },
      watcher_wait: async ({ watcher, reference, version, timeout_s = 120 }) => {
        const found = watched(watcher);
        const isTold = () =>
          found.changes.some((one) => one.reference === reference && one.version === version);
        await new Promise<void>((resolve, reject) => {
          const late = new RunwireError("DEADLINE_EXCEEDED", `it was not told ${version}`);
          const timer = setTimeout(() => reject(late), timeout_s * 1000);
          found.news = () => {
            if (!isTold()) return;
            clearTimeout(timer);
            resolve();
          };
          found.news();
        });
        return { changes: found.changes };
      },
      watcher_get: ({ watcher, reference }) => ({
        version: String(watched(watcher).watcher.get(reference).version),
      }),
      watcher_status: ({ watcher }) => ({ connected: watched(watcher).watcher.connected }),
      close_watcher: async ({ watcher }) => {
        await watched(watcher).watcher.close();
        this.#watchers.delete(watcher);
      },
    };
  }
}

function told(error: unknown) {
  if (!(error instanceof RunwireError)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { code: "RUNNER", reason: "", metadata: {}, message: text, retry_after_s: null };
  }
  const { code, reason, metadata, message, retryAfterMs } = error;
  const retry_after_s = retryAfterMs === undefined ? null : retryAfterMs / 1000;
  return { code, reason, metadata, message, retry_after_s };
}

function refused(found: v1.Rejection[]) {
  return { rejections: found.map(({ key, fault }) => ({ key, reason: fault?.reason ?? "" })) };
}

function message<D extends DescMessage>(desc: D, found: Parameters<typeof toBinary<D>>[1]) {
  return { message: encode64(toBinary(desc, found)) };
}

/** Of a name such as runwire.v1.ReadSeriesResponse.Points. */
function descriptor(type: string): DescMessage {
  const name = `${type.slice("runwire.v1.".length).replaceAll(".", "_")}Schema`;
  return (v1 as unknown as Record<string, DescMessage>)[name]!;
}
