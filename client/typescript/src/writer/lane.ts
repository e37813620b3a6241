import type { WriteAck } from "../v1/metric_pb.js";
import type { WriteAdvice } from "../v1/metric_service_pb.js";
import type { Bell } from "./bell.js";
import type { Outbox, Sealed } from "./outbox.js";
import type { Pace } from "./pace.js";

/** What a lane sends from, and whom it tells what the server says. */
export interface Post {
  readonly runId: string;
  readonly writerId: string;
  readonly outbox: Outbox;
  readonly pace: Pace;
  /** Rings when there may be something to do. */
  readonly bell: Bell;
  /** Nothing more will be logged. */
  readonly isClosed: boolean;
  /** The batch after `sent`; the draft becomes one where it is time. */
  due(sent: number): Sealed | undefined;
  /** The server has committed so much of this writer. Throws where that cannot be. */
  stands(committed: number): void;
  acknowledge(ack: WriteAck): void;
  heed(advice: WriteAdvice | undefined): void;
}

/** A way to the server. */
export interface Lane {
  /** Whether the server has answered. */
  readonly opened: boolean;
  /** Sends; throws {@link RunwireError} when it cannot go on. */
  run(signal: AbortSignal): Promise<void>;
}
