// conformance-web: a page in headless Chromium does what requests say; here lines are passed on.
// The page comes from an origin of its own, so that the server has to allow it (--cors-origins).
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const script = readFileSync(new URL("../page.js", import.meta.url));
const html = `<!doctype html><meta charset="utf-8"><script type="module" src="page.js"></script>`;

const pages = createServer((request, response) => {
  const isScript = request.url === "/page.js";
  response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
  response.end(isScript ? script : html);
});
await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
const { port } = pages.address() as AddressInfo;

// A profile that lasts as long as the browser, and as much time as it needs.
const browser = await chromium.launchPersistentContext("", {
  timeout: 0,
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: FLAGS,
});
try {
  const page = await browser.newPage();
  page.on("console", (message) => process.stderr.write(`${message.text()}\n`));
  page.on("pageerror", (error) => process.stderr.write(`${error.stack ?? error.message}\n`));
  const query = new URLSearchParams({
    protocol: process.argv[2] ?? "connect",
    user: process.env.RUNWIRE_USER ?? "somebody",
  });
  await page.goto(`http://127.0.0.1:${port}/?${query}`, { timeout: 0 });
  await page.waitForFunction(() => "answer" in globalThis, undefined, { timeout: 0 });
  for await (const line of createInterface({ input: process.stdin })) {
    const answer = await page.evaluate(
      (asked) => (globalThis as unknown as Page).answer(asked),
      line,
    );
    process.stdout.write(`${answer}\n`);
  }
} finally {
  await browser.close();
  pages.close();
}

interface Page {
  answer(line: string): Promise<string>;
}
