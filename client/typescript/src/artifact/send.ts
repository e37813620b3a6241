// Ask what is missing, and send that, several transfers at a time.
import type { Calls } from "../call.js";
import { errorOfFault, invalid } from "../error.js";
import { ArtifactService } from "../v1/artifact_service_pb.js";
import { Meter, type Progress } from "./meter.js";
import { piece, type Source } from "./source.js";
import { putLarge } from "./upload.js";

// Files up to here go many in a message, larger ones as streams of their own.
const SMALL_BYTES = 256 << 10;
const BATCH_BYTES = 1 << 20;
const BATCH_FILES = 500;
const ASK_AT_ONCE = 5000;
const PARALLEL = 4;

/** How to send. */
export interface SendOptions {
  workspace: string;
  signal?: AbortSignal | undefined;
  onProgress?: Progress | undefined;
}

type Transfer = () => Promise<void>;

/** Sends the bytes that the server lacks. */
export async function send(
  calls: Calls,
  sources: readonly Source[],
  options: SendOptions,
): Promise<void> {
  const byDigest = new Map(sources.map((source) => [source.digest, source]));
  const all = [...byDigest.values()];
  const meter = new Meter(options.onProgress, sizeOf(all));
  const missing = await findMissing(calls, byDigest, options);
  meter.add(meter.total - sizeOf(missing));
  await inParallel(await transfers(calls, missing, meter, options));
}

async function findMissing(
  calls: Calls,
  byDigest: ReadonlyMap<string, Source>,
  { workspace, signal }: SendOptions,
): Promise<Source[]> {
  const blobs = [...byDigest.values()].map(({ digest, content }) => {
    return { digest, sizeBytes: BigInt(content.size) };
  });
  const found: Source[] = [];
  for (let at = 0; at < blobs.length; at += ASK_AT_ONCE) {
    const request = { workspace, blobs: blobs.slice(at, at + ASK_AT_ONCE) };
    const { findMissingBlobs } = ArtifactService.method;
    const { missing } = await calls.unary(findMissingBlobs, request, { signal });
    for (const { digest } of missing) found.push(byDigest.get(digest) as Source);
  }
  return found;
}

async function transfers(
  calls: Calls,
  missing: readonly Source[],
  meter: Meter,
  options: SendOptions,
): Promise<Transfer[]> {
  const limit = calls.connection.streams ? SMALL_BYTES : await largestBatch(calls, options);
  const isSmall = ({ content }: Source): boolean => content.size <= limit;
  const large = missing.filter((source) => !isSmall(source));
  if (large[0] && !calls.connection.streams) throw tooLarge(large[0], limit);
  return [
    ...batches(missing.filter(isSmall)).map(
      (batch) => () => putBatch(calls, batch, meter, options),
    ),
    ...large.map((one) => () => putLarge(calls, one, options.workspace, meter, options.signal)),
  ];
}

async function largestBatch(calls: Calls, { signal }: SendOptions): Promise<number> {
  const info = await calls.limits({ signal });
  return Number(info.maxBatchPutBytes);
}

function tooLarge({ path, content }: Source, limit: number): Error {
  const problem =
    `${path} has ${content.size} bytes, and a browser can send ${limit}: it has no streams of ` +
    "requests. Send larger files from Node.js or another client";
  return invalid("content", problem);
}

async function putBatch(
  calls: Calls,
  batch: readonly Source[],
  meter: Meter,
  { workspace, signal }: SendOptions,
): Promise<void> {
  const items = await Promise.all(
    batch.map(async ({ content, digest }) => {
      const data = await piece(content, 0, content.size);
      return { blob: { digest, sizeBytes: BigInt(content.size) }, data };
    }),
  );
  const { batchPutBlobs } = ArtifactService.method;
  const { results } = await calls.unary(batchPutBlobs, { workspace, items }, { signal });
  for (const { fault } of results) if (fault) throw errorOfFault(fault);
  meter.add(sizeOf(batch));
}

/** Lists of small files that fit a message. */
function batches(sources: readonly Source[]): Source[][] {
  const made: Source[][] = [];
  let room = 0;
  for (const source of sources) {
    const last = made.at(-1);
    if (last && source.content.size <= room && last.length < BATCH_FILES) last.push(source);
    else {
      made.push([source]);
      room = BATCH_BYTES;
    }
    room -= source.content.size;
  }
  return made;
}

/** The first failure is thrown when those that were begun have ended. */
async function inParallel(work: readonly Transfer[]): Promise<void> {
  const waiting = [...work];
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      await next().catch((error: unknown) => {
        failures.push(error);
        waiting.length = 0;
      });
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  if (failures.length > 0) throw failures[0];
}

function sizeOf(sources: readonly Source[]): number {
  return sources.reduce((sum, { content }) => sum + content.size, 0);
}
