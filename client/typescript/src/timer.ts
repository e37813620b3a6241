// The header of gRPC takes eight digits of milliseconds, 27 hours; timers take 2³¹ - 1, and what is
// more fires at once.
const MOST_MS = 99_999_999;

/** What timers and transports take for a limit; undefined where there is none. */
export function limitMs(ms: number | undefined): number | undefined {
  return ms === undefined || ms === Infinity ? undefined : Math.min(Math.max(0, ms), MOST_MS);
}

/** As `setTimeout`; undefined, and never, where there is no limit. */
export function after(
  ms: number | undefined,
  then: () => void,
): ReturnType<typeof setTimeout> | undefined {
  const limit = limitMs(ms);
  return limit === undefined ? undefined : setTimeout(then, limit);
}
