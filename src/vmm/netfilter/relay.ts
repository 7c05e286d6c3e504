import { FrameLengths } from "./frame_lengths.ts";
import type { FrameSieve } from "./frame_sieve.ts";

/** One end of the relay; a socket. */
export interface FrameSocket {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}

/** Size of each direction's buffer: some frames of the greatest length. */
const bufferBytes = 256 * 1024;

/**
 * Relays frames between QEMU and passt until either hangs up, then hangs up on both: the guest's
 * through the sieve, passt's unchanged. Each direction reads on only when what it read has been written,
 * so a slow side slows the other.
 *
 * @throws RangeError when a side sends an impossible length; both are closed then, too
 */
export async function relay(
  qemu: FrameSocket,
  passt: FrameSocket,
  sieve: FrameSieve,
): Promise<void> {
  try {
    // The first end of either ends both; the other's failure is only our hanging up.
    const directions = [fromGuest(qemu, passt, sieve), toGuest(passt, qemu)];
    directions.forEach((direction) => direction.catch(() => {}));
    await Promise.race(directions);
  } finally {
    qemu.close();
    passt.close();
  }
}

async function fromGuest(
  qemu: FrameSocket,
  passt: FrameSocket,
  sieve: FrameSieve,
): Promise<void> {
  const buffer = new Uint8Array(bufferBytes);
  let filled = 0;
  for (;;) {
    const count = await untilHangup(qemu.read(buffer.subarray(filled)));
    if (count === null) return;
    filled += count;
    const { batches, usedBytes } = sieve.sieve(buffer.subarray(0, filled));
    for (const batch of batches) {
      if (!(await writeAll(passt, batch))) return;
    }
    if (usedBytes > 0) buffer.copyWithin(0, usedBytes, filled);
    filled -= usedBytes;
  }
}

async function toGuest(passt: FrameSocket, qemu: FrameSocket): Promise<void> {
  const buffer = new Uint8Array(bufferBytes);
  const lengths = new FrameLengths();
  for (;;) {
    const count = await untilHangup(passt.read(buffer));
    if (count === null) return;
    const chunk = buffer.subarray(0, count);
    lengths.take(chunk);
    if (!(await writeAll(qemu, chunk))) return;
  }
}

/** Answers false when the other side has hung up. */
async function writeAll(socket: FrameSocket, bytes: Uint8Array): Promise<boolean> {
  for (let at = 0; at < bytes.length;) {
    const count = await untilHangup(socket.write(at === 0 ? bytes : bytes.subarray(at)));
    if (count === null) return false;
    at += count;
  }
  return true;
}

/** `null` for every way in which a Unix socket tells that the other process has closed or ended. */
async function untilHangup(transfer: Promise<number | null>): Promise<number | null> {
  try {
    return await transfer;
  } catch (error) {
    const gone = error instanceof Deno.errors.BrokenPipe ||
      error instanceof Deno.errors.ConnectionReset ||
      error instanceof Deno.errors.NotConnected;
    if (gone) return null;
    throw error;
  }
}
