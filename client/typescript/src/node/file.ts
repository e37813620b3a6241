import { createHash, randomBytes } from "node:crypto";
import type { Stats } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative, sep } from "node:path";
import type { Hash } from "../artifact/digest.js";
import type { Readable } from "../artifact/source.js";

/** SHA-256 of Node. */
export function newHash(): Hash {
  const hash = createHash("sha256");
  return { update: (data) => void hash.update(data), hex: () => hash.digest("hex") };
}

/** A file; opened for each piece, so that none stays open and thousands can wait. */
export function ofFile(file: string, size: number): Readable {
  return {
    size,
    async read(offset, count) {
      const handle = await open(file);
      try {
        const data = new Uint8Array(count);
        let done = 0;
        while (done < count) {
          const { bytesRead } = await handle.read(data, done, count - done, offset + done);
          if (bytesRead === 0) break;
          done += bytesRead;
        }
        return data.subarray(0, done);
      } finally {
        await handle.close();
      }
    },
  };
}

/** A file on this machine, and the path that it is to have. */
export interface LocalFile {
  file: string;
  path: string;
  stats: Stats;
}

/** A file under `path` (else its own name), or a folder's files below `path`. */
export async function localFiles(file: string, path: string): Promise<LocalFile[]> {
  const stats = await stat(file);
  if (!stats.isDirectory()) return [{ file, path: path || basename(file), stats }];
  const found: LocalFile[] = [];
  for (const entry of await readdir(file, { recursive: true, withFileTypes: true })) {
    const inside = join(entry.parentPath, entry.name);
    const stats = await stat(inside);
    if (!stats.isFile()) continue;
    const below = relative(file, inside).split(sep).join("/");
    found.push({ file: inside, path: path ? `${path}/${below}` : below, stats });
  }
  return found.sort((one, other) => (one.path < other.path ? -1 : 1));
}

/** Writes a file that is under its name when all of it is written, or not at all. */
export async function appearing(file: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const folder = dirname(file);
  await mkdir(folder, { recursive: true });
  // Not made from the name: that may be as long as a name can be.
  const part = join(folder, `.runwire-${randomBytes(8).toString("hex")}.part`);
  try {
    await write(part, pieces);
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

/** Keeps a stream in a file for as long as `use` takes. */
export async function spooled<T>(
  content: AsyncIterable<Uint8Array>,
  use: (readable: Readable) => Promise<T>,
): Promise<T> {
  const file = join(tmpdir(), `runwire-${randomBytes(8).toString("hex")}.part`);
  try {
    const size = await write(file, content);
    return await use(ofFile(file, size));
  } finally {
    await rm(file, { force: true });
  }
}

async function write(file: string, pieces: AsyncIterable<Uint8Array>): Promise<number> {
  const handle = await open(file, "wx", 0o666);
  let size = 0;
  try {
    for await (const data of pieces) {
      for (let done = 0; done < data.length;) {
        done += (await handle.write(data, done)).bytesWritten;
      }
      size += data.length;
    }
  } finally {
    await handle.close();
  }
  return size;
}
