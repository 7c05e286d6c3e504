import type { ByteString } from "./byte_string.ts";

/** Number of this hash with unsigned characters, as debugfs calls it; on disk 1 and a flag. */
export const halfMd4Version = 1;

/** The largest hash means "end of directory" to the kernel, so no name may have it. */
const endOfDirectory = 0xfffffffe;

/** `hash` as the kernel starts it when the file system has no seed of its own. */
const noSeed = Uint32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);

/** The seed of directory hashes out of 16 bytes; zeros stand for the fixed one. */
export function hashSeed(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const seed = Uint32Array.from([0, 4, 8, 12], (at) => view.getUint32(at, true));
  return seed.every((word) => word === 0) ? noSeed : seed;
}

const state = new Uint32Array(4);
const input = new Uint32Array(8);

/**
 * The hash by which an indexed directory finds `name`: ext4's half MD4, characters unsigned
 * (kernel: `fs/ext4/hash.c`). The lowest bit is clear; the index uses it to tell that names of the
 * same hash continue in the next block.
 */
export function halfMd4(name: ByteString, seed: Uint32Array): number {
  state.set(seed);
  for (let at = 0; at < name.length; at += 32) {
    fillInput(name, at);
    transform();
  }
  const hash = (state[1]! & 0xfffffffe) >>> 0;
  return hash === endOfDirectory ? endOfDirectory - 2 : hash;
}

/** The next 32 bytes as 8 big-endian words, filled up with the length that is left. */
function fillInput(name: ByteString, start: number): void {
  const left = name.length - start;
  // Names have at most 255 bytes.
  const pad = Math.imul(left, 0x01010101);
  const length = Math.min(left, 32);
  let value = pad;
  let index = 0;
  for (let at = 0; at < length; at++) {
    value = name.charCodeAt(start + at) + (value << 8);
    if (at % 4 === 3) {
      input[index++] = value;
      value = pad;
    }
  }
  if (index < 8) input[index++] = value;
  while (index < 8) input[index++] = pad;
}

const majority = 0x5a827999;
const parity = 0x6ed9eba1;
/** For each round: the order of the input words, and the four rotations. */
const orders = [[0, 1, 2, 3, 4, 5, 6, 7], [1, 3, 5, 7, 0, 2, 4, 6], [3, 7, 2, 6, 1, 5, 0, 4]];
const shifts = [[3, 7, 11, 19], [3, 5, 9, 13], [3, 9, 11, 15]];

function transform(): void {
  let a = state[0]!, b = state[1]!, c = state[2]!, d = state[3]!;
  for (let round = 0; round < 3; round++) {
    for (let step = 0; step < 8; step++) {
      const mixed = round === 0
        ? d ^ (b & (c ^ d))
        : round === 1
        ? ((b & c) + ((b ^ c) & d) + majority) | 0
        : ((b ^ c ^ d) + parity) | 0;
      const sum = (a + mixed + input[orders[round]![step]!]!) | 0;
      const shift = shifts[round]![step % 4]!;
      a = d;
      d = c;
      c = b;
      b = (sum << shift) | (sum >>> (32 - shift));
    }
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
}
