import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { Artifacts, type Uploaded, type UploadOptions } from "../artifact.js";
import type { Hash } from "../artifact/digest.js";
import type { Calls } from "../call.js";
import { invalid } from "../error.js";

/** Files of runs and model versions, and of a page. */
export class WebArtifacts extends Artifacts {
  /** @internal */
  constructor(calls: Calls) {
    super(calls, newHash);
  }

  /**
   * As in {@link Artifacts.upload}; a stream is read into memory first. A browser can send what
   * fits one message, `Limits.max_batch_put_bytes` (2 MiB of a server that is not told otherwise):
   * more throws INVALID_ARGUMENT.
   */
  override async upload(
    runId: string,
    path: string,
    content: Uint8Array | Blob | ReadableStream<Uint8Array>,
    options: UploadOptions = {},
  ): Promise<Uploaded> {
    if (!(content instanceof ReadableStream)) return super.upload(runId, path, content, options);
    const { maxBatchPutBytes } = await this.calls.limits(options);
    const whole = await read(content, Number(maxBatchPutBytes));
    return super.upload(runId, path, whole, options);
  }
}

async function read(content: ReadableStream<Uint8Array>, most: number): Promise<Blob> {
  const parts: BlobPart[] = [];
  let size = 0;
  const reader = content.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Blob(parts);
    parts.push(value as Uint8Array<ArrayBuffer>);
    if ((size += value.length) > most) {
      await reader.cancel();
      throw invalid("content", `a browser can send ${most} bytes, and there are more`);
    }
  }
}

/** SubtleCrypto takes no bytes in pieces, and none at all on a page that came over http. */
function newHash(): Hash {
  const hash = sha256.create();
  return { update: (data) => void hash.update(data), hex: () => bytesToHex(hash.digest()) };
}
