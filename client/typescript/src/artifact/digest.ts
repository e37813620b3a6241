/** SHA-256 as it goes. */
export interface Hash {
  update(data: Uint8Array): void;
  /** 64 hex digits. */
  hex(): string;
}

/** Begins one; each platform has its own. */
export type NewHash = () => Hash;

/** As the API names bytes. */
export function digestName(hash: Hash): string {
  return `sha256:${hash.hex()}`;
}
