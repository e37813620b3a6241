import type { UniversalClientFn } from "@connectrpc/connect/protocol";

type Fetch = typeof globalThis.fetch;

/** Requests whole, responses as they come: what `fetch` can do in every browser. */
export function bufferedClient(fetch: Fetch): UniversalClientFn {
  return async ({ url, method, header, body, signal }) => {
    const response = await fetch(url, {
      method,
      headers: header,
      body: await collected(body ?? []),
      signal: signal ?? null,
    });
    return {
      status: response.status,
      header: response.headers,
      body: response.body ? piecesOf(response.body) : none(),
      trailer: new Headers(),
    };
  };
}

async function collected(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Blob> {
  const parts: BlobPart[] = [];
  for await (const part of body) parts.push(part as Uint8Array<ArrayBuffer>);
  return new Blob(parts);
}

async function* none(): AsyncGenerator<Uint8Array, void, void> {}

/** Not every browser iterates over streams. */
async function* piecesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
