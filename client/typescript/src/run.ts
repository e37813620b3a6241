import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Calls, CallOptions } from "./call.js";
import { newId } from "./id.js";
import { type Entries, logged } from "./log.js";
import { Pager } from "./pager.js";
import type { Rejection } from "./v1/metric_pb.js";
import { type Run, Run_State, type RunSchema } from "./v1/run_pb.js";
import { RunService, RunView, type SearchRunsResponse } from "./v1/run_service_pb.js";

/** How a run can end. */
export type EndState = "FINISHED" | "FAILED" | "KILLED";

/** What a new run is made with. */
export interface CreateRunOptions extends CallOptions {
  /** Made where it does not exist. With neither this nor an id: the Default experiment. */
  experimentName?: string;
  /** Instead of a name. */
  experimentId?: string;
  /** 32 hex digits; chosen here unless given. A repeat with it returns the run that is there. */
  runId?: string;
  /** For people; need not be unique. */
  name?: string;
  /** For people. */
  description?: string;
  /** Write-once. */
  params?: Record<string, string>;
  /** The last write wins. */
  tags?: Record<string, string>;
  /** The run that this one is a part of. */
  parentRunId?: string;
  /** What started it. */
  source?: NonNullable<MessageInitShape<typeof RunSchema>["source"]>;
  /** Else the server's clock says. */
  startTime?: Date;
  /** Of the experiment. */
  workspace?: string;
}

/** Which runs, in which order. */
export interface SearchRunsOptions extends CallOptions {
  /** None: every experiment of the workspace. */
  experimentIds?: string[];
  /** For instance `metrics.loss < 0.1 AND params.lr = 0.01`. */
  filter?: string;
  /** For instance `metrics.loss ASC, start_time DESC`. */
  orderBy?: string;
  /** With everything, where BASIC (the default) leaves params, tags and metrics out. */
  view?: "BASIC" | "FULL";
  /** With BASIC, add just these: `params.lr`, `metrics.loss`, `min(metrics.loss)`. */
  columns?: string[];
  /** Runs in one message. */
  pageSize?: number;
  /** Also those in the trash. */
  showDeleted?: boolean;
  /** Of the experiments. */
  workspace?: string;
}

/** The calls about runs; all throw {@link RunwireError}. */
export class Runs {
  readonly #calls: Calls;

  /** @internal */
  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Makes a run that is RUNNING. Its id is chosen here, so that a retry makes no second one. */
  async create(options: CreateRunOptions = {}): Promise<Run> {
    const { experimentName = "", experimentId = "", startTime, source } = options;
    const workspace = options.workspace || (experimentName ? this.#calls.workspace : "");
    const run = {
      runId: options.runId || newId(),
      experimentId,
      name: options.name ?? "",
      description: options.description ?? "",
      params: options.params ?? {},
      tags: options.tags ?? {},
      parentRunId: options.parentRunId ?? "",
      ...(source && { source }),
      ...(startTime && { startTime: timestampFromDate(startTime) }),
    };
    const request = { run, experimentName, workspace };
    return whole((await this.#calls.unary(RunService.method.createRun, request, options)).run);
  }

  /** With params, tags and last metrics; one in the trash too. Throws NOT_FOUND. */
  async get(runId: string, options: CallOptions = {}): Promise<Run> {
    return whole((await this.#calls.unary(RunService.method.getRun, { runId }, options)).run);
  }

  /**
   * The runs that a filter finds, in order; pages are fetched as they are read.
   *
   * ```ts
   * for await (const run of client.runs.search({ filter: "tags.team = 'nlp'" })) …
   * ```
   */
  search(options: SearchRunsOptions = {}): Pager<Run, SearchRunsResponse> {
    const request = {
      experimentIds: options.experimentIds ?? [],
      workspace: options.workspace || this.#calls.workspace,
      filter: options.filter ?? "",
      orderBy: options.orderBy ?? "",
      pageSize: options.pageSize ?? 0,
      view: options.view ? RunView[options.view] : RunView.UNSPECIFIED,
      columns: options.columns ?? [],
      showDeleted: options.showDeleted ?? false,
    };
    const { searchRuns } = RunService.method;
    return new Pager(
      (pageToken) => this.#calls.unary(searchRuns, { ...request, pageToken }, options),
      (page) => page.runs,
    );
  }

  /** Write-once values; what is refused comes back, and keeps nothing else out. */
  logParams(runId: string, params: Entries, options: CallOptions = {}): Promise<Rejection[]> {
    return logged(this.#calls, runId, { params }, options);
  }

  /** Notes by key; the last write wins. */
  logTags(runId: string, tags: Entries, options: CallOptions = {}): Promise<Rejection[]> {
    return logged(this.#calls, runId, { tags }, options);
  }

  /**
   * Stores values of one step, durable and readable when it resolves. A call of the network each:
   * training code wants `client.writer`.
   */
  logMetrics(
    runId: string,
    metrics: Record<string, number>,
    options: CallOptions & { step?: number | bigint; timeMicros?: number | bigint } = {},
  ): Promise<Rejection[]> {
    return logged(this.#calls, runId, { metrics, ...options }, options);
  }

  /** Ends a run; from then on it takes no data. `after`: once these writers are so far. */
  async finish(
    runId: string,
    state: EndState = "FINISHED",
    options: CallOptions & { endTime?: Date; after?: Record<string, bigint> } = {},
  ): Promise<Run> {
    const { endTime, after = {} } = options;
    const request = {
      runId,
      state: Run_State[state],
      after,
      ...(endTime && { endTime: timestampFromDate(endTime) }),
    };
    return whole((await this.#calls.unary(RunService.method.finishRun, request, options)).run);
  }

  /** A run that has ended is RUNNING again. */
  async resume(runId: string, options: CallOptions = {}): Promise<Run> {
    return whole((await this.#calls.unary(RunService.method.resumeRun, { runId }, options)).run);
  }

  /** Asks the training job to stop; it learns it with its next acknowledgement. */
  async stop(runId: string, reason = "", options: CallOptions = {}): Promise<Run> {
    const request = { runId, reason };
    return whole((await this.#calls.unary(RunService.method.stopRun, request, options)).run);
  }

  /** Puts it in the trash. */
  async delete(runId: string, options: CallOptions = {}): Promise<Run> {
    return whole((await this.#calls.unary(RunService.method.deleteRun, { runId }, options)).run);
  }

  /** Takes it out of the trash. */
  async restore(runId: string, options: CallOptions = {}): Promise<Run> {
    return whole((await this.#calls.unary(RunService.method.restoreRun, { runId }, options)).run);
  }
}

/** The run that every one of these responses has. */
function whole(run: Run | undefined): Run {
  if (run === undefined) throw new TypeError("a response without its run");
  return run;
}
