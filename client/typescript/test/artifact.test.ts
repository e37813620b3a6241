import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Bell } from "../src/writer/bell.js";
import { crc32c } from "../src/artifact/crc32c.js";
import { digestName } from "../src/artifact/digest.js";
import { appearing, localFiles, newHash, ofFile, spooled } from "../src/node/file.js";
import {
  ArtifactService,
  type CommitArtifactsRequest,
  type DownloadArtifactResponseSchema,
  type UploadBlobRequest,
  type UploadBlobResponseSchema,
} from "../src/v1/artifact_service_pb.js";
import { LimitsSchema, ServerService } from "../src/v1/server_service_pb.js";
import { serviceError, TestClient } from "./server.js";

const CHUNK = 1000;
const DATA = Uint8Array.from({ length: 300_000 }, (_, place) => (place * place) >> 3);

function digest(data: Uint8Array): string {
  const hash = newHash();
  hash.update(data);
  return digestName(hash);
}

/** A store of blobs that cuts every transfer after so many chunks. */
class Store {
  received: number[] = [];
  commits: CommitArtifactsRequest[] = [];
  calls = 0;
  forgets = 0;
  chunkBytes = CHUNK;
  largest = 0;
  /** Said instead of the truth. */
  committed: bigint | undefined;
  /** Downloads that their client has not left. */
  open = 0;
  readonly ended = new Bell();
  sent = DATA;
  named = digest(DATA);

  constructor(readonly chunksPerCall = Infinity) {}

  client(options: { streams?: boolean } = {}): TestClient {
    const store = this;
    return new TestClient(({ service }) => {
      service(ServerService, {
        getServerInfo: () => ({ limits: create(LimitsSchema, { maxBatchPutBytes: 2n << 20n }) }),
      });
      service(ArtifactService, {
        findMissingBlobs: ({ blobs }) => ({ missing: blobs }),
        batchPutBlobs: ({ items }) => {
          for (const { data } of items) store.#keep(data);
          return { results: items.map(({ blob }) => ({ digest: blob!.digest })) };
        },
        uploadBlob: (requests) => store.#upload(requests),
        downloadArtifact: ({ offset }, { signal }) => store.#download(Number(offset), signal),
        commitArtifacts: async (requests) => {
          for await (const request of requests) store.commits.push(request);
          return { files: 1n };
        },
      });
    }, options);
  }

  #keep(data: Uint8Array): void {
    for (const byte of data) this.received.push(byte);
  }

  async *#upload(
    requests: AsyncIterable<UploadBlobRequest>,
  ): AsyncGenerator<MessageInitShape<typeof UploadBlobResponseSchema>> {
    this.calls += 1;
    let chunks = 0;
    for await (const { message } of requests) {
      const committedSize = BigInt(this.received.length);
      if (message.case === "open") {
        if (message.value.uploadId && this.forgets-- > 0) {
          this.received = [];
          throw serviceError(Code.NotFound, "NOT_FOUND");
        }
        const opened = {
          uploadId: "u",
          committedSize: this.committed ?? committedSize,
          chunkBytes: this.chunkBytes,
        };
        yield { message: { case: "opened", value: opened } };
      } else if (message.case === "chunk") {
        assert.equal(message.value.offset, committedSize);
        assert.equal(message.value.crc32c, crc32c(message.value.data));
        if (message.value.data.length === 0)
          throw serviceError(Code.InvalidArgument, "FIELD_INVALID");
        this.largest = Math.max(this.largest, message.value.data.length);
        this.#keep(message.value.data);
        yield {
          message: { case: "progress", value: { committedSize: BigInt(this.received.length) } },
        };
        if (++chunks >= this.chunksPerCall) throw new ConnectError("cut", Code.Internal);
      } else if (message.case === "finish") {
        yield { message: { case: "stored", value: { blob: message.value.blob! } } };
      }
    }
  }

  async *#download(
    offset: number,
    signal: AbortSignal,
  ): AsyncGenerator<MessageInitShape<typeof DownloadArtifactResponseSchema>> {
    this.calls += 1;
    this.open += 1;
    const end = (): void => {
      this.open -= 1;
      this.ended.ring();
    };
    signal.addEventListener("abort", end);
    yield* this.#chunks(offset);
  }

  async *#chunks(
    offset: number,
  ): AsyncGenerator<MessageInitShape<typeof DownloadArtifactResponseSchema>> {
    const blob = { digest: this.named, sizeBytes: BigInt(this.sent.length) };
    for (let chunks = 0, at = offset; chunks < this.chunksPerCall; chunks++, at += 70_000) {
      const data = this.sent.subarray(at, at + 70_000);
      const chunk = { offset: BigInt(at), plainSize: data.length, crc32c: crc32c(data), data };
      yield at === offset ? { blob, chunk } : { chunk };
      if (at + data.length >= this.sent.length) return;
    }
    throw new ConnectError("cut", Code.Aborted);
  }
}

test("CRC-32C is Castagnoli's", () => {
  assert.equal(crc32c(new TextEncoder().encode("123456789")), 0xe3069283);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array()), 0);
});

test("a large file goes on at the acknowledged byte after a cut", async () => {
  const store = new Store(100);
  const told: number[] = [];
  const done = await store.client().artifacts.upload("r", "a/b.bin", DATA, {
    onProgress: (bytes, total) => {
      assert.equal(total, DATA.length);
      told.push(bytes);
    },
  });
  assert.deepEqual(Uint8Array.from(store.received), DATA);
  assert.deepEqual([store.calls, done.size, done.digest], [4, DATA.length, digest(DATA)]);
  assert.deepEqual([told[0], told.at(-1)], [0, DATA.length]);
  assert.deepEqual(
    [...told].sort((one, other) => one - other),
    told,
  );
  assert.equal(store.commits[0]?.artifacts[0]?.path, "a/b.bin");
});

test("an upload that the server has forgotten begins again", async () => {
  const store = new Store(200);
  store.forgets = 1;
  await store.client().artifacts.upload("r", "x", DATA);
  assert.deepEqual(Uint8Array.from(store.received), DATA);
});

test("small content goes in one message, from a Blob, too", async () => {
  const store = new Store();
  await store.client().artifacts.upload("r", "x", new Blob(["größe"]));
  assert.equal(new TextDecoder().decode(Uint8Array.from(store.received)), "größe");
  assert.equal(store.calls, 0);
});

test("without streams of requests, what fits a message is sent, and more is refused", async () => {
  const client = new Store().client({ streams: false });
  await client.artifacts.upload("r", "x", DATA);
  const large = client.artifacts.upload("r", "x", new Uint8Array((2 << 20) + 1));
  await assert.rejects(large, { code: "INVALID_ARGUMENT", reason: "FIELD_INVALID" });
});

test("a download goes on where it was cut, and is whole", async () => {
  const store = new Store(2);
  const told: number[] = [];
  const onProgress = (bytes: number): void => void told.push(bytes);
  const found = await store.client().artifacts.download("r", "x", { onProgress });
  assert.deepEqual([found.size, found.digest], [DATA.length, digest(DATA)]);
  assert.deepEqual(await found.bytes(), DATA);
  assert.equal(store.calls, 3);
  assert.deepEqual([told[0], told.at(-1)], [0, DATA.length]);
  const again = await store.client().artifacts.download("r", "x");
  assert.deepEqual(new Uint8Array(await new Response(again.stream()).arrayBuffer()), DATA);
});

test("an empty file is a file", async () => {
  const store = new Store();
  store.sent = new Uint8Array();
  store.named = digest(store.sent);
  assert.equal((await (await store.client().artifacts.download("r", "x")).bytes()).length, 0);
});

test("bytes that are not of their digest are an error at the end", async () => {
  const store = new Store();
  store.named = digest(new Uint8Array(1));
  const found = await store.client().artifacts.download("r", "x");
  await assert.rejects(found.bytes(), { code: "DATA_LOSS", reason: "DIGEST_MISMATCH" });
});

test("no file appears before it is whole", async () => {
  const folder = await mkdtemp(join(tmpdir(), "runwire-test-"));
  try {
    const file = join(folder, "below", "x.bin");
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield DATA;
      throw new Error("cut");
    }
    await assert.rejects(appearing(file, broken()), /cut/);
    assert.deepEqual(await readdir(join(folder, "below")), []);
    const store = new Store(2);
    await appearing(file, await store.client().artifacts.download("r", "x"));
    assert.deepEqual(new Uint8Array(await readFile(file)), DATA);
    const [found] = await localFiles(folder, "up");
    assert.equal(found?.path, "up/below/x.bin");
    assert.deepEqual(await ofFile(file, DATA.length).read(5, 3), DATA.slice(5, 8));
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a stream is kept in a file for as long as it is needed", async () => {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < DATA.length; at += 12_345) yield DATA.subarray(at, at + 12_345);
  }
  const found = await spooled(pieces(), ({ size, read }) => read(0, size));
  assert.deepEqual(found, DATA);
});

test("a file has the name that it has unless another is given", async () => {
  const folder = await mkdtemp(join(tmpdir(), "runwire-test-"));
  try {
    await writeFile(join(folder, "model.bin"), "x");
    const named = async (path: string) =>
      (await localFiles(join(folder, "model.bin"), path))[0]?.path;
    assert.equal(await named(""), "model.bin");
    assert.equal(await named("a/b"), "a/b");
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a download that nobody reads is not kept open, and can be read later", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const store = new Store();
  const found = await store.client().artifacts.download("r", "x");
  assert.equal(store.open, 1);
  t.mock.timers.tick(1000);
  while (store.open > 0) await store.ended.wait();
  assert.deepEqual(await found.bytes(), DATA);
  assert.equal(store.calls, 2);
});

test("a download ends with who reads it", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const store = new Store();
  const { artifacts } = store.client();
  for await (const data of await artifacts.download("r", "x")) {
    assert.equal(data.length, 70_000);
    break;
  }
  while (store.open > 0) await store.ended.wait();
  await (await artifacts.download("r", "x")).stream().cancel();
  while (store.open > 0) await store.ended.wait();
  const closed = await artifacts.download("r", "x");
  await closed.close();
  while (store.open > 0) await store.ended.wait();
  await assert.rejects(closed.bytes(), { code: "CANCELLED" });
});

test("a file that cannot be written ends its download", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const folder = await mkdtemp(join(tmpdir(), "runwire-test-"));
  try {
    const store = new Store();
    await writeFile(join(folder, "file"), "");
    const writing = store.client().artifacts.downloadFile("r", "x", join(folder, "file", "x"));
    await assert.rejects(writing, { code: "EEXIST" });
    while (store.open > 0) await store.ended.wait();
    assert.equal(store.calls, 1);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("chunks are of a sensible size, whatever the server asks for", async () => {
  for (const [asked, largest] of [
    [0, 256 << 10],
    [-1, 256 << 10],
    [1 << 30, 2 << 20],
  ] as const) {
    const store = new Store();
    store.chunkBytes = asked;
    const data = new Uint8Array((2 << 20) + 1);
    await store.client().artifacts.upload("r", "x", data);
    assert.deepEqual([store.largest, store.received.length], [largest, data.length]);
  }
});

test("a server that says it has what cannot be is not believed", async () => {
  for (const committed of [-1n, BigInt(DATA.length + 1)]) {
    const store = new Store();
    store.committed = committed;
    await assert.rejects(store.client().artifacts.upload("r", "x", DATA), { code: "DATA_LOSS" });
    assert.deepEqual([store.received.length, store.commits.length], [0, 0]);
  }
});
