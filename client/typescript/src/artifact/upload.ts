// One large blob in chunks, from the byte that the server has acknowledged.
import { create } from "@bufbuild/protobuf";
import type { Calls } from "../call.js";
import { RunwireError } from "../error.js";
import {
  ArtifactService,
  type UploadBlobRequest,
  UploadBlobRequestSchema,
  type UploadBlobResponse_Opened,
} from "../v1/artifact_service_pb.js";
import { crc32c } from "./crc32c.js";
import type { Meter } from "./meter.js";
import { Patience } from "./patience.js";
import { piece, type Source } from "./source.js";

// Where the server asks for none, and the most, however many it asks for.
const CHUNK_BYTES = 256 << 10;
const MOST_CHUNK_BYTES = 2 << 20;

/** Sends it through cuts; resolves when it is stored. */
export async function putLarge(
  calls: Calls,
  source: Source,
  workspace: string,
  meter: Meter,
  signal?: AbortSignal,
): Promise<void> {
  const patience = new Patience(signal);
  let counted = 0;
  let uploadId = "";
  for (;;) {
    const call = new UploadCall(calls, source, workspace, uploadId);
    try {
      for await (const durable of call.run(signal)) {
        if (durable <= counted) continue;
        patience.progress();
        meter.add(durable - counted);
        counted = durable;
      }
      return;
    } catch (error) {
      if (!(error instanceof RunwireError)) throw error;
      // The server has forgotten it: once more from the start.
      const isForgotten = error.code === "NOT_FOUND" && call.uploadId !== "";
      await patience.wait(error, isForgotten);
      uploadId = isForgotten ? "" : call.uploadId;
    }
  }
}

/** One call of UploadBlob. */
class UploadCall {
  uploadId: string;
  readonly #calls: Calls;
  readonly #source: Source;
  readonly #workspace: string;
  #failure: unknown;
  #open: (opened: UploadBlobResponse_Opened | undefined) => void = () => {};
  readonly #opened = new Promise<UploadBlobResponse_Opened | undefined>((resolve) => {
    this.#open = resolve;
  });

  constructor(calls: Calls, source: Source, workspace: string, uploadId: string) {
    this.#calls = calls;
    this.#source = source;
    this.#workspace = workspace;
    this.uploadId = uploadId;
  }

  /** The acknowledged size in bytes, again and again until all of it is stored. */
  async *run(signal?: AbortSignal): AsyncGenerator<number, void, void> {
    const { uploadBlob } = ArtifactService.method;
    try {
      for await (const { message } of this.#calls.stream(uploadBlob, this.#requests(), {
        signal,
      })) {
        if (message.case === "stored") {
          yield Number(message.value.blob?.sizeBytes ?? 0);
          return;
        }
        if (!message.case) continue;
        const committed = this.#committed(message.value.committedSize);
        if (message.case === "opened") {
          this.uploadId = message.value.uploadId;
          this.#open(message.value);
        }
        yield committed;
      }
      throw this.#failure ?? new RunwireError("UNAVAILABLE", "the server ended an upload");
    } finally {
      this.#open(undefined);
    }
  }

  /** What the server says that it has. Throws where that cannot be. */
  #committed(size: bigint): number {
    const most = this.#source.content.size;
    if (size >= 0n && size <= BigInt(most)) return Number(size);
    const problem = `the server says that it has ${size} bytes of the ${most} of ${this.#source.path}`;
    throw new RunwireError("DATA_LOSS", problem);
  }

  async *#requests(): AsyncGenerator<UploadBlobRequest, void, void> {
    const { content, digest } = this.#source;
    const blob = { digest, sizeBytes: BigInt(content.size) };
    const open = { workspace: this.#workspace, uploadId: this.uploadId, blob };
    yield request({ case: "open", value: open });
    const opened = await this.#opened;
    if (opened === undefined) return;
    try {
      const asked = opened.chunkBytes > 0 ? opened.chunkBytes : CHUNK_BYTES;
      yield* this.#chunks(Number(opened.committedSize), Math.min(asked, MOST_CHUNK_BYTES));
    } catch (error) {
      this.#failure = error; // half-close, and let who reads the responses tell
      return;
    }
    yield request({ case: "finish", value: { blob } });
  }

  async *#chunks(from: number, chunkBytes: number): AsyncGenerator<UploadBlobRequest, void, void> {
    const { content } = this.#source;
    for (let offset = from; offset < content.size; offset += chunkBytes) {
      const data = await piece(content, offset, chunkBytes);
      const chunk = { offset: BigInt(offset), plainSize: data.length, crc32c: crc32c(data), data };
      yield request({ case: "chunk", value: chunk });
    }
  }
}

function request(
  message: NonNullable<Parameters<typeof create<typeof UploadBlobRequestSchema>>[1]>["message"],
): UploadBlobRequest {
  return create(UploadBlobRequestSchema, message ? { message } : {});
}
