/** How long to wait before trying again, so that a thousand clients do not come back in the same second. */

const FIRST_MS = 500;
const LONGEST_MS = 60_000;

/**
 * Milliseconds before attempt number `attempt` (0 for the first retry): doubling, capped, with half of it random.
 * A server's `Retry-After` (in seconds) is never undercut.
 */
export function backoff(attempt: number, retryAfter = 0): number {
  const step = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
  return retryAfter * 1000 + step * (0.5 + Math.random() / 2);
}

/** Sleeps; an aborted `signal` ends it at once by throwing its reason. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const done = () => {
      signal?.removeEventListener("abort", aborted);
      resolve();
    };
    const timer = setTimeout(done, ms);
    const aborted = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", aborted, { once: true });
  });
}
