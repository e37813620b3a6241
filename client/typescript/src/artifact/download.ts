import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Calls, one } from "../call.js";
import { RunwireError } from "../error.js";
import type { Blob as BlobName, Chunk } from "../v1/artifact_pb.js";
import {
  ArtifactService,
  type DownloadArtifactRequestSchema,
  type DownloadArtifactResponse,
} from "../v1/artifact_service_pb.js";
import { crc32c } from "./crc32c.js";
import { digestName, type NewHash } from "./digest.js";
import { Meter, type Progress } from "./meter.js";
import { Patience } from "./patience.js";

// What nobody reads is not kept open for longer: the call takes the place of another one.
const UNREAD_MS = 1000;

/** For one download. */
export interface DownloadOptions {
  /** Ends it with CANCELLED. */
  signal?: AbortSignal;
  /** Told bytes done, and bytes in all. */
  onProgress?: Progress;
}

type Responses = AsyncGenerator<DownloadArtifactResponse, void, void>;

/**
 * The bytes of a file, as they come; read it once, or close it. A cut is mended from the byte where it was, and
 * the last step throws DATA_LOSS where the bytes are not those of the digest: nothing that was read
 * is to be trusted before the end.
 */
export class Download implements AsyncIterable<Uint8Array<ArrayBuffer>>, AsyncDisposable {
  readonly #reception: Reception;
  readonly #pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>;

  /** @internal */
  constructor(
    /** `sha256:` and 64 hex digits. */
    readonly digest: string,
    /** In bytes. */
    readonly size: number,
    reception: Reception,
  ) {
    this.#reception = reception;
    this.#pieces = reception.pieces({ digest, size });
  }

  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    return this.#pieces;
  }

  /** All of it in memory. */
  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    const all = new Uint8Array(this.size);
    let done = 0;
    for await (const data of this) {
      all.set(data, done);
      done += data.length;
    }
    return all;
  }

  /** All of it as text of UTF-8. */
  async text(): Promise<string> {
    return new TextDecoder().decode(await this.bytes());
  }

  /** As a stream of the web. */
  stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    const pieces = this.#pieces;
    return new ReadableStream({
      async pull(controller) {
        const { done, value } = await pieces.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: () => this.close(),
    });
  }

  /** Ends it where it was not read to its end; what is read from then on is CANCELLED. */
  async close(): Promise<void> {
    await this.#reception.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Begins it: resolves when the server has named the bytes. */
export async function download(
  calls: Calls,
  path: string,
  source: MessageInitShape<typeof DownloadArtifactRequestSchema>,
  newHash: NewHash,
  options: DownloadOptions,
): Promise<Download> {
  const reception = new Reception(calls, path, source, newHash, options);
  const blob = await reception.begin();
  return new Download(blob.digest, Number(blob.sizeBytes), reception);
}

/** What is to come. */
interface Expected {
  digest: string;
  size: number;
}

class Reception {
  readonly #patience: Patience;
  #done = 0;
  #responses: Responses | undefined;
  #first: DownloadArtifactResponse | undefined;
  #unread: ReturnType<typeof setTimeout> | undefined;
  readonly #closed = new AbortController();
  readonly #signal: AbortSignal;

  constructor(
    readonly calls: Calls,
    readonly path: string,
    readonly source: MessageInitShape<typeof DownloadArtifactRequestSchema>,
    readonly newHash: NewHash,
    readonly options: DownloadOptions,
  ) {
    const closed = this.#closed.signal;
    this.#signal = options.signal ? AbortSignal.any([options.signal, closed]) : closed;
    this.#patience = new Patience(this.#signal);
  }

  async begin(): Promise<BlobName> {
    for (;;) {
      try {
        const found = await this.#open();
        this.#unread = setTimeout(() => void this.#leave().catch(() => {}), UNREAD_MS);
        return found;
      } catch (error) {
        await this.#mended(error);
      }
    }
  }

  async *pieces(expected: Expected): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    clearTimeout(this.#unread);
    try {
      yield* this.#pieces(expected);
    } finally {
      await this.#leave();
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#unread);
    this.#closed.abort();
    await this.#leave();
  }

  async *#pieces(expected: Expected): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    const { size, digest } = expected;
    const hash = this.newHash();
    const meter = new Meter(this.options.onProgress, size);
    while (this.#done < size) {
      try {
        for await (const data of this.#chunks(digest)) {
          if (this.#done + data.length > size) throw changed(this.path);
          hash.update(data);
          this.#done += data.length;
          this.#patience.progress();
          meter.add(data.length);
          yield data;
        }
        if (this.#done < size) throw new RunwireError("UNAVAILABLE", "a download just ended");
      } catch (error) {
        await this.#mended(error);
      }
    }
    if (digestName(hash) !== digest) throw damaged(this.path, "is not of its digest");
  }

  async #open(): Promise<BlobName> {
    const { downloadArtifact } = ArtifactService.method;
    const request = { ...this.source, offset: BigInt(this.#done) };
    const responses = this.calls.stream(downloadArtifact, one(request), { signal: this.#signal });
    this.#responses = responses;
    const { done, value } = await responses.next();
    if (done || !value.blob) throw new RunwireError("UNAVAILABLE", "a download just ended");
    this.#first = value;
    return value.blob;
  }

  async *#chunks(digest: string): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    if (this.#responses === undefined) {
      const found = await this.#open();
      if (found.digest !== digest) throw changed(this.path);
    }
    if (this.#first?.chunk) yield checked(this.#first.chunk, this.#done, this.path);
    this.#first = undefined;
    for await (const { chunk } of this.#responses ?? []) {
      if (chunk) yield checked(chunk, this.#done, this.path);
    }
  }

  /** Ends the call, where there is one; the next piece begins another. */
  async #leave(): Promise<void> {
    const responses = this.#responses;
    this.#responses = this.#first = undefined;
    await responses?.return();
  }

  async #mended(error: unknown): Promise<void> {
    await this.#leave();
    if (!(error instanceof RunwireError)) throw error;
    await this.#patience.wait(error);
  }
}

function checked(chunk: Chunk, offset: number, path: string): Uint8Array<ArrayBuffer> {
  if (Number(chunk.offset) !== offset || chunk.codec !== 0) {
    throw damaged(path, `came with a chunk that is not due at ${offset}`);
  }
  if (chunk.crc32c !== undefined && crc32c(chunk.data) !== chunk.crc32c) {
    throw damaged(path, `was damaged on its way at ${offset}`, "CHECKSUM_MISMATCH");
  }
  return chunk.data as Uint8Array<ArrayBuffer>;
}

function changed(path: string): RunwireError {
  return new RunwireError("ABORTED", `${path} was changed while it was fetched`);
}

function damaged(path: string, problem: string, reason = "DIGEST_MISMATCH"): RunwireError {
  return new RunwireError("DATA_LOSS", `${path} ${problem}`, { reason });
}
