// Services in this process, behind the real transport of Connect: no socket, the same messages.
import { type ConnectRouter, createRouterTransport, ConnectError, Code } from "@connectrpc/connect";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Connection } from "../src/connection.js";
import { Services } from "../src/client.js";
import { NodeArtifacts } from "../src/node/artifact.js";

/** A client of services that answer as a test says. */
export class TestClient extends Services {
  readonly artifacts: NodeArtifacts;

  constructor(
    routes: (router: ConnectRouter) => void,
    { streams = true, timeoutMs = 60_000 } = {},
  ) {
    const connection: Connection = {
      transport: createRouterTransport(routes),
      uri: "grpc://test:5001",
      streams,
      close: () => {},
    };
    super(connection, timeoutMs, "");
    this.artifacts = new NodeArtifacts(this.calls);
  }
}

/** An error as the service sends it. */
export function serviceError(
  code: Code,
  reason: string,
  metadata: Record<string, string> = {},
  retryAfterMs?: number,
): ConnectError {
  const error = new ConnectError(`it is ${reason}`, code);
  const info = new BinaryWriter().tag(1, WireType.LengthDelimited).string(reason);
  info.tag(2, WireType.LengthDelimited).string("runwire.v1");
  for (const [key, value] of Object.entries(metadata)) {
    info.tag(3, WireType.LengthDelimited).fork();
    info
      .tag(1, WireType.LengthDelimited)
      .string(key)
      .tag(2, WireType.LengthDelimited)
      .string(value);
    info.join();
  }
  const details = [{ type: "google.rpc.ErrorInfo", value: info.finish() }];
  if (retryAfterMs !== undefined) {
    const retry = new BinaryWriter().tag(1, WireType.LengthDelimited).fork();
    retry.tag(1, WireType.Varint).int64(Math.floor(retryAfterMs / 1000));
    retry
      .tag(2, WireType.Varint)
      .int32((retryAfterMs % 1000) * 1e6)
      .join();
    details.push({ type: "google.rpc.RetryInfo", value: retry.finish() });
  }
  error.details = details;
  return error;
}
