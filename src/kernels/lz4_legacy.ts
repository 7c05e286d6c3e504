import { BangerError } from "../model/errors.ts";

const magic = 0x184c2102;
const blockBytes = 8 * 1024 * 1024;

/**
 * Unpacks the "legacy frame" form of lz4, in which kernels are stored (lz4's
 * doc/lz4_Frame_format.md, "Legacy frame"; lz4_Block_format.md): blocks of at most 8 MiB, each
 * independent, until the data ends.
 *
 * @param plainBytes what it must unpack to, exactly
 * @throws BangerError `untrusted` when it is damaged or of another size
 */
export function unpackLz4Legacy(packed: Uint8Array, plainBytes: number): Uint8Array {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  if (packed.length < 4 || view.getUint32(0, true) !== magic) throw damaged("it is not lz4");
  const plain = new Uint8Array(plainBytes);
  let at = 4;
  let filled = 0;
  while (at < packed.length) {
    if (at + 4 > packed.length) throw damaged("it ends within a block's size");
    const size = view.getUint32(at, true);
    const end = at + 4 + size;
    if (end > packed.length) throw damaged("it ends within a block");
    const limit = Math.min(plainBytes, filled + blockBytes);
    filled = unpackBlock(packed.subarray(at + 4, end), plain, filled, limit);
    at = end;
  }
  if (filled !== plainBytes) throw damaged(`it has ${filled} bytes instead of ${plainBytes}`);
  return plain;
}

/** Unpacks one block to `plain` from `start`; answers where it ends, at most `limit`. */
function unpackBlock(block: Uint8Array, plain: Uint8Array, start: number, limit: number): number {
  let from = 0;
  let to = start;
  const length = (nibble: number): number => {
    let total = nibble;
    if (nibble !== 15) return total;
    for (;;) {
      const byte = block[from++];
      if (byte === undefined) throw damaged("a length is cut off");
      total += byte;
      if (byte !== 255) return total;
    }
  };
  while (from < block.length) {
    const token = block[from++] ?? 0;
    const literals = length(token >> 4);
    if (from + literals > block.length || to + literals > limit) throw damaged("a run is too long");
    plain.set(block.subarray(from, from + literals), to);
    from += literals;
    to += literals;
    if (from === block.length) return to;
    const distance = (block[from] ?? 0) | ((block[from + 1] ?? 0) << 8);
    from += 2;
    const matched = length(token & 15) + 4;
    const source = to - distance;
    if (distance === 0 || source < start || to + matched > limit) {
      throw damaged("a match leaves its block");
    }
    if (distance >= matched) {
      plain.copyWithin(to, source, source + matched);
    } else {
      // The match overlaps what it writes: byte by byte repeats the pattern.
      for (let index = 0; index < matched; index++) plain[to + index] = plain[source + index] ?? 0;
    }
    to += matched;
  }
  return to;
}

function damaged(why: string): BangerError {
  return new BangerError("untrusted", `Cannot unpack the kernel: ${why}`);
}
