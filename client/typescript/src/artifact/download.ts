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

/** For one download. */
export interface DownloadOptions {
  /** Ends it with CANCELLED. */
  signal?: AbortSignal;
  /** Told bytes done, and bytes in all. */
  onProgress?: Progress;
}

type Responses = AsyncGenerator<DownloadArtifactResponse, void, void>;

/**
 * The bytes of a file, as they come; read it once. A cut is mended from the byte where it was, and
 * the last step throws DATA_LOSS where the bytes are not those of the digest: nothing that was read
 * is to be trusted before the end.
 */
export class Download implements AsyncIterable<Uint8Array<ArrayBuffer>> {
  readonly #pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>;

  /** @internal */
  constructor(
    /** `sha256:` and 64 hex digits. */
    readonly digest: string,
    /** In bytes. */
    readonly size: number,
    pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>,
  ) {
    this.#pieces = pieces;
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
      cancel: async () => void (await pieces.return()),
    });
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
  return new Download(blob.digest, Number(blob.sizeBytes), reception.pieces(blob));
}

class Reception {
  readonly #patience: Patience;
  #done = 0;
  #responses: Responses | undefined;
  #first: DownloadArtifactResponse | undefined;

  constructor(
    readonly calls: Calls,
    readonly path: string,
    readonly source: MessageInitShape<typeof DownloadArtifactRequestSchema>,
    readonly newHash: NewHash,
    readonly options: DownloadOptions,
  ) {
    this.#patience = new Patience(options.signal);
  }

  async begin(): Promise<BlobName> {
    for (;;) {
      try {
        return await this.#open();
      } catch (error) {
        await this.#mended(error);
      }
    }
  }

  async *pieces(blob: BlobName): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    const hash = this.newHash();
    const size = Number(blob.sizeBytes);
    const meter = new Meter(this.options.onProgress, size);
    while (this.#done < size) {
      try {
        for await (const data of this.#chunks(blob)) {
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
    await this.#responses?.return();
    if (digestName(hash) !== blob.digest) throw damaged(this.path, "is not of its digest");
  }

  async #open(): Promise<BlobName> {
    const { downloadArtifact } = ArtifactService.method;
    const request = { ...this.source, offset: BigInt(this.#done) };
    const signal = this.options.signal;
    this.#responses = this.calls.stream(downloadArtifact, one(request), { signal });
    const { done, value } = await this.#responses.next();
    if (done || !value.blob) throw new RunwireError("UNAVAILABLE", "a download just ended");
    this.#first = value;
    return value.blob;
  }

  async *#chunks(blob: BlobName): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    if (this.#responses === undefined) {
      const found = await this.#open();
      if (found.digest !== blob.digest) throw changed(this.path);
    }
    if (this.#first?.chunk) yield checked(this.#first.chunk, this.#done, this.path);
    this.#first = undefined;
    for await (const { chunk } of this.#responses ?? []) {
      if (chunk) yield checked(chunk, this.#done, this.path);
    }
  }

  async #mended(error: unknown): Promise<void> {
    await this.#responses?.return();
    this.#responses = this.#first = undefined;
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
