// One door to the services: deadlines, retries, typed errors. What may be tried again is not
// decided here: the idempotency_level of the method in the protos says it.
import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Level } from "@bufbuild/protobuf/wkt";
import type { Transport } from "@connectrpc/connect";
import type { Connection } from "./connection.js";
import { cancelled, RunwireError } from "./error.js";
import { Retry } from "./retry.js";
import { errorOf } from "./status.js";
import { limitMs } from "./timer.js";
import { type Limits, LimitsSchema, ServerService } from "./v1/server_service_pb.js";

/** For one call. */
export interface CallOptions {
  /** Milliseconds for all attempts together, `Infinity` for no limit; else the client's. */
  timeoutMs?: number | undefined;
  /** Ends the call with CANCELLED. */
  signal?: AbortSignal | undefined;
}

/** Calls over one connection; all throw {@link RunwireError}. */
export class Calls {
  /** Of the connection, until this is closed. Takes any number of milliseconds. */
  readonly transport: Transport;
  /** Calls are refused from now on. */
  isClosed = false;
  #limits: Limits | undefined;

  constructor(
    readonly connection: Connection,
    readonly timeoutMs: number,
    readonly workspace: string,
  ) {
    const { transport } = connection;
    this.transport = {
      unary: async (method, signal, timeoutMs, ...call) => {
        this.#checkOpen();
        return transport.unary(method, signal, limitMs(timeoutMs), ...call);
      },
      stream: async (method, signal, timeoutMs, ...call) => {
        this.#checkOpen();
        return transport.stream(method, signal, limitMs(timeoutMs), ...call);
      },
    };
  }

  /** Ends what is under way. */
  close(): void {
    this.isClosed = true;
    this.connection.close();
  }

  /** What the server accepts; asked for once. */
  async limits(options: CallOptions = {}): Promise<Limits> {
    const { getServerInfo } = ServerService.method;
    this.#limits ??= (await this.unary(getServerInfo, {}, options)).limits;
    return this.#limits ?? create(LimitsSchema);
  }

  /** One response, tried again while the server is away where the protos allow it. */
  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    const deadline = performance.now() + (options.timeoutMs ?? this.timeoutMs);
    const retry = new Retry(deadline, options.signal);
    for (;;) {
      try {
        return await this.#attempt(method, request, deadline, options.signal);
      } catch (error) {
        if (!isRepeatable(method) || !(await retry.wait(error as RunwireError))) throw error;
      }
    }
  }

  /** The responses as they come, without a deadline unless one is given. */
  async *stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    requests: AsyncIterable<MessageInitShape<I>>,
    options: CallOptions = {},
  ): AsyncGenerator<MessageShape<O>, void, void> {
    const { uri } = this.connection;
    const ended = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, ended.signal]) : ended.signal;
    try {
      const call = await this.transport.stream(
        method,
        signal,
        options.timeoutMs,
        undefined,
        requests,
      );
      yield* call.message;
    } catch (error) {
      throw errorOf(error, uri, options.signal);
    } finally {
      ended.abort(); // where it is not read to its end
    }
  }

  /**
   * As `stream`, but a cut is mended: `resume(response)`, called with each response before it is
   * handed out, sets in `request` where the next attempt goes on.
   */
  async *resuming<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    resume: (response: MessageShape<O>) => void,
    options: CallOptions = {},
  ): AsyncGenerator<MessageShape<O>, void, void> {
    const retry = new Retry(Infinity, options.signal);
    for (;;) {
      try {
        for await (const response of this.stream(method, one(request), options)) {
          retry.reset();
          resume(response);
          yield response;
        }
        return;
      } catch (error) {
        if (!(error instanceof RunwireError) || !(await retry.wait(error))) throw error;
      }
    }
  }

  async #attempt<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<MessageShape<O>> {
    if (signal?.aborted) throw cancelled(signal);
    const { uri } = this.connection;
    const timeoutMs = Math.max(1, Math.ceil(deadline - performance.now()));
    try {
      return (await this.transport.unary(method, signal, timeoutMs, undefined, request)).message;
    } catch (error) {
      throw errorOf(error, uri, signal);
    }
  }

  #checkOpen(): void {
    if (this.isClosed) throw new RunwireError("FAILED_PRECONDITION", "this client is closed");
  }
}

function isRepeatable(method: DescMethodUnary): boolean {
  return method.idempotency === Level.NO_SIDE_EFFECTS || method.idempotency === Level.IDEMPOTENT;
}

/** A stream of one request. */
export async function* one<T>(request: T): AsyncGenerator<T, void, void> {
  yield request;
}
