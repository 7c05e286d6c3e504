/**
 * Calls `action` once after `ms` milliseconds; cannot be taken back. For threads that need no other
 * timer: the first `setTimeout` of a thread loads Deno's timers, 10 ms and 1 to 2 MiB for good.
 */
export function whenPassed(ms: number, action: () => void): void {
  AbortSignal.timeout(ms).addEventListener("abort", action, { once: true });
}
