import type { LaneLink } from "../../../vmm/contract.ts";
import { laneNonceChars } from "../../../wire/lane.ts";

/** How long the guest may take to say the nonce: it starts some small programs for it. */
const joinMs = 10_000;

/** Most bytes before the nonce; the guest's kernel and QEMU hold less of an earlier use. */
const maxStaleBytes = 16 * 1024 * 1024;

/**
 * The host's half of joining a lane: throws away what comes before the line with `nonce`, then writes the
 * line back. Gives the bytes after it; `null` when the nonce does not come, too late or after too
 * much, and when the link fails, which is closed then. Never rejects.
 *
 * The line starts with a line break, since the guest reads lines and may have part of an earlier one.
 */
export async function joinLane(
  link: LaneLink,
  nonce: string,
  timeoutMs = joinMs,
): Promise<Uint8Array | null> {
  const timer = setTimeout(() => link.close(), timeoutMs);
  try {
    const rest = await untilLine(link, `${nonce}\n`);
    if (rest !== null) await link.write(new TextEncoder().encode(`\n${nonce}\n`));
    else link.close();
    return rest;
  } catch {
    link.close();
    return null;
  } finally {
    clearTimeout(timer);
  }
}

async function untilLine(link: LaneLink, line: string): Promise<Uint8Array | null> {
  const buffer = new Uint8Array(64 * 1024);
  // One character for each byte, whatever it is.
  const decoder = new TextDecoder("latin1");
  let carry = "";
  for (let stale = 0; stale <= maxStaleBytes;) {
    const count = await link.read(buffer);
    if (count === null) return null;
    const text = carry + decoder.decode(buffer.subarray(0, count));
    const at = text.indexOf(line);
    if (at !== -1) return buffer.slice(at + line.length - carry.length, count);
    carry = text.slice(-laneNonceChars);
    stale += count;
  }
  return null;
}
