/** Logs what a callback has thrown. */
export function guarded(what: string, callback: () => unknown): void {
  try {
    watched(what, callback());
  } catch (error) {
    report(what, error);
  }
}

/** Logs what an async callback rejects with later: unheard it would end the process. */
export function watched(what: string, returned: unknown): void {
  void Promise.resolve(returned).catch((error: unknown) => report(what, error));
}

function report(what: string, error: unknown): void {
  console.error(`runwire: ${what} failed:`, error);
}
