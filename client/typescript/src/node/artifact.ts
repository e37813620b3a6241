import { Artifacts, type Owner, type Uploaded, type UploadOptions } from "../artifact.js";
import type { DownloadOptions } from "../artifact/download.js";
import type { Calls } from "../call.js";
import { appearing, localFiles, newHash, ofFile, spooled } from "./file.js";

/** Files of runs and model versions, and of this machine. */
export class NodeArtifacts extends Artifacts {
  /** @internal */
  constructor(calls: Calls) {
    super(calls, newHash);
  }

  /**
   * As in {@link Artifacts.upload}. A stream is kept in a temporary file first: its digest must be
   * known, and a cut must not lose it.
   */
  override async upload(
    runId: string,
    path: string,
    content: Uint8Array | Blob | AsyncIterable<Uint8Array>,
    options: UploadOptions = {},
  ): Promise<Uploaded> {
    if (content instanceof Uint8Array || content instanceof Blob) {
      return super.upload(runId, path, content, options);
    }
    return spooled(content, async (readable) => {
      const source = await this.source(path, readable, options);
      await this.send(runId, [source], options);
      return { path, digest: source.digest, size: readable.size };
    });
  }

  /**
   * Sends a file, under `path` (else its own name), or a folder, whose files go below `path`. The
   * run shows all of it when it is whole.
   */
  async uploadFile(
    runId: string,
    file: string,
    path = "",
    options: UploadOptions = {},
  ): Promise<Uploaded[]> {
    const sources = [];
    for (const { file: local, path: name, stats } of await localFiles(file, path)) {
      sources.push(await this.source(name, ofFile(local, stats.size), options, stats.mtime));
    }
    await this.send(runId, sources, options);
    return sources.map(({ path, digest, content }) => ({ path, digest, size: content.size }));
  }

  /** Writes a file of a run or version to `file`, which appears when it is whole and checked. */
  async downloadFile(
    owner: Owner,
    path: string,
    file: string,
    options: DownloadOptions = {},
  ): Promise<Uploaded> {
    const found = await this.download(owner, path, options);
    try {
      await appearing(file, found);
    } finally {
      await found.close(); // where the file cannot be written, nothing has read it
    }
    return { path, digest: found.digest, size: found.size };
  }
}
