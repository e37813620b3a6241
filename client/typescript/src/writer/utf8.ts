import { invalid } from "../error.js";

// The server takes less, and rejects the one alone; what is far more would fit no batch.
const MAX_KEY_BYTES = 4096;
const MAX_VALUE_BYTES = 256 << 10;
const encoder = new TextEncoder();
// UTF-8 has no form of it: an encoder would write another character in silence.
const HALF_A_PAIR = /\p{Surrogate}/u;

/** Throws INVALID_ARGUMENT for a key that no batch is to carry. */
export function checkKey(key: string): void {
  checkBytes("key", key, key, MAX_KEY_BYTES);
}

/** The same for the value of a param or tag. */
export function checkValue(key: string, value: string): void {
  checkBytes("value", key, value, MAX_VALUE_BYTES);
}

/** Of a text in UTF-8. */
export function utf8Bytes(text: string): number {
  return encoder.encode(text).length;
}

function checkBytes(field: string, key: string, text: string, most: number): void {
  if (HALF_A_PAIR.test(text)) {
    throw invalid(field, `of ${JSON.stringify(key.slice(0, 80))}: half of a surrogate pair`);
  }
  if (3 * text.length <= most) return; // a code unit has three bytes at most
  if (text.length <= most && utf8Bytes(text) <= most) return;
  throw invalid(field, `of ${JSON.stringify(key.slice(0, 80))}: at most ${most} bytes of UTF-8`);
}
