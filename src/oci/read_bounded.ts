import { networkReason, TransientError } from "./transient_error.ts";
import type { Watchdog } from "./watchdog.ts";

/**
 * The body of a response in memory; `undefined`, with the rest unread, when it is longer than
 * `maxBytes`.
 *
 * @throws TransientError when the transfer breaks; the signal's reason
 */
export async function readBounded(
  response: Response,
  maxBytes: number,
  watchdog: Watchdog,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response.body ?? []) {
      watchdog.saw(chunk.length);
      bytes += chunk.length;
      if (bytes > maxBytes) return undefined;
      chunks.push(chunk);
    }
  } catch (error) {
    signal.throwIfAborted();
    const why = watchdog.barked ? "nothing came for too long" : networkReason(error);
    throw new TransientError(`the answer broke off after ${bytes} bytes: ${why}`, { cause: error });
  }
  return joined(chunks, bytes);
}

/** Chunks of together `bytes` in one. */
export function joined(chunks: readonly Uint8Array[], bytes: number): Uint8Array {
  const all = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
