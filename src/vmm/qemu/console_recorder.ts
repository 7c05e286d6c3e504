import type { GuestLink } from "../contract.ts";
import type { ConsoleRing } from "./console_ring.ts";
import { pause } from "../../sync/pause.ts";

/** How fast a guest may print for long, in bytes a second; a real serial line carries 11,520. */
const sustainedBytesPerS = 512 * 1024;
/** How much it may print at once without being slowed down, in bytes. */
const burstBytes = 1024 * 1024;
/** Bytes taken at once from a console that prints little, and from one that has filled as much. */
const quietBytes = 1024;
const busyBytes = 64 * 1024;

/**
 * Copies a serial console from `link` into `ring` until the VMM hangs up, `signal` aborts or the ring
 * cannot be written.
 *
 * A guest that prints without end is read at a bounded rate; its writes to the console then wait, as they would
 * for a real line, and cost the host neither disk nor processor time.
 */
export async function recordConsole(
  link: GuestLink,
  ring: ConsoleRing,
  signal: AbortSignal,
): Promise<void> {
  let buffer = new Uint8Array(quietBytes);
  let budget = burstBytes;
  let refilledAt = performance.now();
  const onAbort = () => link.close();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    for (;;) {
      const count = await link.read(buffer);
      if (count === null) return;
      await ring.append(buffer.subarray(0, count));
      if (count === buffer.length && count < busyBytes) buffer = new Uint8Array(busyBytes);
      const now = performance.now();
      budget = Math.min(burstBytes, budget + (now - refilledAt) * sustainedBytesPerS / 1000);
      refilledAt = now;
      budget -= count;
      if (budget < 0) await pause(-budget / sustainedBytesPerS * 1000, signal);
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    link.close();
    ring.close();
  }
}
