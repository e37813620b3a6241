import * as http from "node:http";
import * as https from "node:https";
import type { Get } from "../discover.js";

const MAX_ANSWER_BYTES = 1 << 20;

/** A GET with certificate authorities of one's own, which `fetch` does not take. */
export function getter(ca: string | undefined, stop: AbortSignal): Get {
  return (url, timeoutMs) =>
    new Promise((resolve, reject) => {
      const options = {
        signal: AbortSignal.any([stop, AbortSignal.timeout(timeoutMs)]),
        headers: { accept: "application/json" },
      };
      const made = url.startsWith("https:")
        ? https.get(url, ca === undefined ? options : { ...options, ca }, answer)
        : http.get(url, options, answer);
      made.on("error", reject);
      function answer(response: http.IncomingMessage): void {
        const parts: Buffer[] = [];
        let size = 0;
        response.on("data", (part: Buffer) => {
          parts.push(part);
          if ((size += part.length) > MAX_ANSWER_BYTES)
            response.destroy(new Error("a long answer"));
        });
        response.on("error", reject);
        response.on("end", () => {
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString() });
        });
      }
    });
}
