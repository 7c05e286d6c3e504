const polynomial = 0x82f63b78;

/** Eight tables of 256: table `k` advances a byte by `k` more zero bytes ("slicing by 8"). */
const tables = makeTables();

function makeTables(): Uint32Array {
  const all = new Uint32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ ((value & 1) === 0 ? 0 : polynomial);
    all[byte] = value;
  }
  for (let at = 256; at < all.length; at++) {
    const before = all[at - 256]!;
    all[at] = (before >>> 8) ^ all[before & 0xff]!;
  }
  return all;
}

/**
 * CRC-32C (Castagnoli) as ext4 uses it: without the final inversion, so that a result is the seed of
 * what follows. The first seed is `0xffffffff`.
 */
export function crc32c(
  seed: number,
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
): number {
  const t = tables;
  let crc = seed >>> 0;
  let at = start;
  for (const last = end - 8; at <= last; at += 8) {
    crc = t[0x700 | ((crc ^ bytes[at]!) & 0xff)]! ^
      t[0x600 | (((crc >>> 8) ^ bytes[at + 1]!) & 0xff)]! ^
      t[0x500 | (((crc >>> 16) ^ bytes[at + 2]!) & 0xff)]! ^
      t[0x400 | ((crc >>> 24) ^ bytes[at + 3]!)]! ^
      t[0x300 | bytes[at + 4]!]! ^
      t[0x200 | bytes[at + 5]!]! ^
      t[0x100 | bytes[at + 6]!]! ^
      t[bytes[at + 7]!]!;
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ t[(crc ^ bytes[at]!) & 0xff]!;
  return crc >>> 0;
}

const word = new Uint8Array(4);

/** {@linkcode crc32c} over one little-endian 32-bit number. */
export function crc32cOfWord(seed: number, value: number): number {
  word[0] = value;
  word[1] = value >>> 8;
  word[2] = value >>> 16;
  word[3] = value >>> 24;
  return crc32c(seed, word);
}
