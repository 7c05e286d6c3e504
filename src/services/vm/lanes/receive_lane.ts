import type { LaneLink } from "../../../vmm/contract.ts";

/** Bytes of one read. */
const chunkBytes = 256 * 1024;

/** When the guest has sent all, so long without a byte means that some are lost. */
const silenceMs = 30_000;

/**
 * Takes an output that comes over a lane and gives it to `write`, which slows the guest by settling late.
 *
 * @param first what came already
 * @param total settles with the number of bytes when the guest has sent the last one
 * @returns true when exactly so many came. False when the lane ended before, when more came, and when
 * nothing comes any more; then the output is not whole
 * @throws what `write` throws
 */
export async function receiveLane(
  link: LaneLink,
  first: Uint8Array,
  total: Promise<number>,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<boolean> {
  let received = 0;
  let expected: number | undefined;
  let isReading = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  // A read cannot be taken back: closing the link ends it, and nothing that is wanted is lost then.
  const watch = () => {
    if (expected === undefined || !isReading) return;
    if (received >= expected) link.close();
    else timer = setTimeout(() => link.close(), silenceMs);
  };
  total.then((bytes) => {
    expected = bytes;
    watch();
  });
  const read = async (buffer: Uint8Array) => {
    isReading = true;
    watch();
    try {
      return await link.read(buffer);
    } catch {
      return null;
    } finally {
      isReading = false;
      clearTimeout(timer);
    }
  };
  const buffer = new Uint8Array(chunkBytes);
  for (let bytes = first;;) {
    received += bytes.length;
    if (expected !== undefined && received > expected) return false;
    if (bytes.length > 0) await write(bytes);
    if (received === expected) return true;
    const count = await read(buffer);
    if (count === null) return received === expected;
    bytes = buffer.subarray(0, count);
  }
}
