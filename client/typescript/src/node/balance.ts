import { Code, ConnectError, type Transport } from "@connectrpc/connect";

// A server that did not answer is passed over for so long, where others are named beside it.
const PASSED_OVER_MS = 2000;

interface Server {
  transport: Transport;
  awayUntil: number;
}

/** Calls go round robin, and past a server that is gone. */
export function balanced(transports: readonly Transport[]): Transport {
  const servers = transports.map((transport): Server => ({ transport, awayUntil: 0 }));
  let turn = Math.floor(Math.random() * servers.length);

  const next = (): Server => {
    const now = performance.now();
    const from = turn++;
    const inTurn = servers.map((_, place) => servers[(from + place) % servers.length] as Server);
    return inTurn.find((server) => server.awayUntil <= now) ?? (inTurn[0] as Server);
  };
  const watched = async <T>(call: (transport: Transport) => Promise<T>): Promise<T> => {
    const server = next();
    try {
      return await call(server.transport);
    } catch (error) {
      if (ConnectError.from(error).code === Code.Unavailable) {
        server.awayUntil = performance.now() + PASSED_OVER_MS;
      }
      throw error;
    }
  };
  return {
    unary: (...call) => watched((transport) => transport.unary(...call)),
    stream: (...call) => watched((transport) => transport.stream(...call)),
  };
}
