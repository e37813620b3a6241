import { invalid } from "../error.js";
import { digestName, type NewHash } from "./digest.js";

const HASHED_AT_ONCE = 1 << 20;

/** Bytes that can be read from anywhere, and again. */
export interface Readable {
  readonly size: number;
  /** So many from an offset on; fewer at the end only. */
  read(offset: number, count: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** What is to be sent, under its path. Hashed once; it must not change meanwhile. */
export interface Source {
  readonly path: string;
  readonly content: Readable;
  readonly digest: string;
  readonly modifyTime: Date | undefined;
  readonly mediaType: string;
}

/** Bytes in memory. */
export function inMemory(data: Uint8Array<ArrayBuffer>): Readable {
  return {
    size: data.length,
    read: (offset, count) => Promise.resolve(data.subarray(offset, offset + count)),
  };
}

/** A Blob, or a File of a form. */
export function ofBlob(blob: Blob): Readable {
  return {
    size: blob.size,
    read: async (offset, count) =>
      new Uint8Array(await blob.slice(offset, offset + count).arrayBuffer()),
  };
}

/** The digest of all of it. */
export async function hashed(content: Readable, newHash: NewHash): Promise<string> {
  const hash = newHash();
  for (let offset = 0; offset < content.size; offset += HASHED_AT_ONCE) {
    hash.update(await piece(content, offset, HASHED_AT_ONCE));
  }
  return digestName(hash);
}

/** What should be there, or an error: the content has shrunk since it was looked at. */
export async function piece(
  content: Readable,
  offset: number,
  most: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const count = Math.min(most, content.size - offset);
  const data = await content.read(offset, count);
  if (data.length !== count) throw invalid("content", "it was changed while it was read");
  return data;
}
