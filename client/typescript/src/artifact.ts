import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { NewHash } from "./artifact/digest.js";
import { type Download, download, type DownloadOptions } from "./artifact/download.js";
import type { Progress } from "./artifact/meter.js";
import { Patience } from "./artifact/patience.js";
import { send } from "./artifact/send.js";
import { hashed, inMemory, ofBlob, type Readable, type Source } from "./artifact/source.js";
import type { Calls, CallOptions } from "./call.js";
import { RunwireError } from "./error.js";
import { Pager } from "./pager.js";
import type { Artifact, ArtifactOwnerSchema, ArtifactSchema } from "./v1/artifact_pb.js";
import {
  ArtifactService,
  type CommitArtifactsRequest,
  CommitArtifactsRequestSchema,
  type CommitArtifactsResponse,
  type ListArtifactsResponse,
} from "./v1/artifact_service_pb.js";

// A message of a commit holds so many; the server takes 4 MiB.
const COMMITTED_AT_ONCE = 2000;

/** What holds files: a run by its id, or a version of a model. */
export type Owner = string | { model: string; version: number | bigint; workspace?: string };

/** For one upload. */
export interface UploadOptions {
  /** For instance `image/png`. */
  mediaType?: string;
  /** That of the run's experiment. */
  workspace?: string;
  /** Ends it with CANCELLED; what was acknowledged is kept for another attempt. */
  signal?: AbortSignal;
  /** Told bytes done, and bytes in all, as the server acknowledges. */
  onProgress?: Progress;
}

/** For a list. */
export interface ListArtifactsOptions extends CallOptions {
  /** A directory, or one file. Empty: all. */
  prefix?: string;
  /** Every file below it; else what is directly in it. True unless given. */
  recursive?: boolean;
  /** Files in one message. */
  pageSize?: number;
}

/** A file that is stored. */
export interface Uploaded {
  path: string;
  /** `sha256:` and 64 hex digits. */
  digest: string;
  /** In bytes. */
  size: number;
}

/** Files of runs and model versions; all calls throw {@link RunwireError}. */
export class Artifacts {
  /** @internal */
  protected readonly calls: Calls;
  readonly #newHash: NewHash;

  /** @internal */
  constructor(calls: Calls, newHash: NewHash) {
    this.calls = calls;
    this.#newHash = newHash;
  }

  /**
   * Sends bytes, and adds them to a run under a path. What the server has already is not sent
   * again, and what a cut interrupts goes on at the acknowledged byte. The run shows the file when
   * it is whole.
   */
  async upload(
    runId: string,
    path: string,
    content: Uint8Array | Blob,
    options: UploadOptions = {},
  ): Promise<Uploaded> {
    const readable = content instanceof Blob ? ofBlob(content) : inMemory(own(content));
    const source = await this.source(path, readable, options);
    await this.send(runId, [source], options);
    return { path, digest: source.digest, size: readable.size };
  }

  /** The bytes of a file. Throws NOT_FOUND at once; what is read is checked at its end. */
  download(owner: Owner, path: string, options: DownloadOptions = {}): Promise<Download> {
    const artifact = { owner: this.#owner(owner), path };
    const source = { source: { case: "artifact" as const, value: artifact } };
    return download(this.calls, path, source, this.#newHash, options);
  }

  /** The files of a run or version, by path; pages are fetched as they are read. */
  list(owner: Owner, options: ListArtifactsOptions = {}): Pager<Artifact, ListArtifactsResponse> {
    const { prefix = "", recursive = true, pageSize = 0 } = options;
    const request = { owner: this.#owner(owner), prefix, recursive, pageSize };
    const { listArtifacts } = ArtifactService.method;
    return new Pager(
      (pageToken) => this.calls.unary(listArtifacts, { ...request, pageToken }, options),
      (page) => page.artifacts,
    );
  }

  /** Takes files out of a run, a directory with all that is in it; returns how many went. */
  async delete(runId: string, paths: string[], options: CallOptions = {}): Promise<number> {
    const request = { owner: this.#owner(runId), paths };
    const { deleteArtifacts } = ArtifactService.method;
    return Number((await this.calls.unary(deleteArtifacts, request, options)).files);
  }

  /** @internal */
  protected async source(
    path: string,
    content: Readable,
    { mediaType = "" }: UploadOptions,
    modifyTime?: Date,
  ): Promise<Source> {
    const digest = await hashed(content, this.#newHash);
    return { path, content, digest, modifyTime, mediaType };
  }

  /** Bytes first, names last. @internal */
  protected async send(
    runId: string,
    sources: readonly Source[],
    options: UploadOptions,
  ): Promise<void> {
    const { signal, onProgress } = options;
    const workspace = options.workspace ?? this.calls.workspace;
    await send(this.calls, sources, { workspace, signal, onProgress });
    await this.#commit(runId, sources.map(artifactOf), signal);
  }

  /** Tried again where the connection fails: a repeat leads to the same tree. */
  async #commit(
    runId: string,
    artifacts: MessageInitShape<typeof ArtifactSchema>[],
    signal?: AbortSignal,
  ): Promise<CommitArtifactsResponse> {
    const patience = new Patience(signal);
    for (;;) {
      try {
        return await this.#commitOnce(this.#messages(runId, artifacts), signal);
      } catch (error) {
        await patience.wait(error as RunwireError);
      }
    }
  }

  async #commitOnce(
    messages: AsyncIterable<CommitArtifactsRequest>,
    signal?: AbortSignal,
  ): Promise<CommitArtifactsResponse> {
    const { commitArtifacts } = ArtifactService.method;
    const options = { signal, timeoutMs: this.calls.timeoutMs };
    let tree: CommitArtifactsResponse | undefined;
    for await (const response of this.calls.stream(commitArtifacts, messages, options)) {
      tree = response; // read to its end, where its deadline ends, too
    }
    if (tree) return tree;
    throw new RunwireError("UNAVAILABLE", "the server ended a commit");
  }

  async *#messages(
    runId: string,
    artifacts: MessageInitShape<typeof ArtifactSchema>[],
  ): AsyncGenerator<CommitArtifactsRequest, void, void> {
    const owner = this.#owner(runId);
    for (let at = 0; at === 0 || at < artifacts.length; at += COMMITTED_AT_ONCE) {
      const part = artifacts.slice(at, at + COMMITTED_AT_ONCE);
      const head = at === 0 ? { owner } : {};
      yield create(CommitArtifactsRequestSchema, { ...head, artifacts: part });
    }
  }

  #owner(owner: Owner): MessageInitShape<typeof ArtifactOwnerSchema> {
    if (typeof owner === "string") return { owner: { case: "runId", value: owner } };
    const { model, version, workspace = this.calls.workspace } = owner;
    const value = { model, version: BigInt(version), workspace };
    return { owner: { case: "modelVersion", value } };
  }
}

function artifactOf({ path, content, digest, modifyTime, mediaType }: Source) {
  const value = { digest, sizeBytes: BigInt(content.size) };
  return {
    path,
    mediaType,
    content: { case: "blob" as const, value },
    ...(modifyTime && { modifyTime: timestampFromDate(modifyTime) }),
  };
}

/** Bytes that no other thread can change meanwhile. */
function own(data: Uint8Array): Uint8Array<ArrayBuffer> {
  return data.buffer instanceof ArrayBuffer
    ? (data as Uint8Array<ArrayBuffer>)
    : new Uint8Array(data);
}
