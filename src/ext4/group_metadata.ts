import type { Checksums } from "./checksums.ts";
import { crc32c, crc32cOfWord } from "./crc32c.ts";
import { blockBytes, blocksPerGroup, descriptorBytes } from "./format.ts";
import type { ImageSink } from "./image_file.ts";
import type { Layout } from "./layout.ts";

/** Inodes of a group: they are given from its first on, without gaps. */
export interface GroupInodes {
  readonly used: number;
  readonly directories: number;
}

const inodesUnused = 0x1;
const blocksUnused = 0x2;
const tableZeroed = 0x4;

/**
 * Writes the bitmaps of every group and makes the descriptors. A group without any block or inode
 * has no bitmap: its descriptor says so, and the kernel makes it when it is first used.
 */
export function putGroups(
  layout: Layout,
  inodes: readonly GroupInodes[],
  checksums: Checksums,
  sink: ImageSink,
): { descriptors: Uint8Array; freeBlocks: number; freeInodes: number } {
  const { geometry, groups, space } = layout;
  const descriptors = new Uint8Array(geometry.descriptorBlocks * blockBytes);
  const view = new DataView(descriptors.buffer);
  const total = { freeBlocks: 0, freeInodes: 0 };
  groups.forEach((places, group) => {
    const start = group * blocksPerGroup;
    const count = Math.min(blocksPerGroup, geometry.blockCount - start);
    const blockBits = paddedBitmap(space.bitmap(start, count), count);
    const freeBlocks = blocksPerGroup - countOnes(blockBits);
    const { used, directories } = inodes[group]!;
    const freeInodes = geometry.inodesPerGroup - used;
    total.freeBlocks += freeBlocks;
    total.freeInodes += freeInodes;
    const at = group * descriptorBytes;
    let flags = tableZeroed;
    // e2fsck wants that of the last group.
    if (freeBlocks === blocksPerGroup && group < groups.length - 1) flags |= blocksUnused;
    else {
      sink.writeAt(blockBits, places.blockBitmap * blockBytes);
      put16And16(view, at + 0x18, at + 0x38, crc32c(checksums.seed, blockBits));
    }
    if (used === 0) flags |= inodesUnused;
    else {
      const inodeBits = paddedBitmap(firstBits(used), geometry.inodesPerGroup);
      sink.writeAt(inodeBits, places.inodeBitmap * blockBytes);
      const sum = crc32c(checksums.seed, inodeBits, 0, geometry.inodesPerGroup / 8);
      put16And16(view, at + 0x1a, at + 0x3a, sum);
    }
    view.setUint32(at, places.blockBitmap, true);
    view.setUint32(at + 4, places.inodeBitmap, true);
    view.setUint32(at + 8, places.inodeTable, true);
    put16And16(view, at + 0x0c, at + 0x2c, freeBlocks);
    put16And16(view, at + 0x0e, at + 0x2e, freeInodes);
    put16And16(view, at + 0x10, at + 0x30, directories);
    view.setUint16(at + 0x12, flags, true);
    // Inodes behind the last used one were never written.
    put16And16(view, at + 0x1c, at + 0x32, freeInodes);
    const sum = crc32c(
      crc32cOfWord(checksums.seed, group),
      descriptors,
      at,
      at + descriptorBytes,
    );
    view.setUint16(at + 0x1e, sum & 0xffff, true);
  });
  return { descriptors, ...total };
}

/** A block of bitmap: bits behind the last that stands for something are set. */
function paddedBitmap(bits: Uint8Array, count: number): Uint8Array {
  const block = new Uint8Array(blockBytes).fill(0xff, Math.floor(count / 8));
  block.set(bits);
  if (count % 8 !== 0) block[Math.floor(count / 8)]! |= (0xff << (count % 8)) & 0xff;
  return block;
}

function firstBits(count: number): Uint8Array {
  const bits = new Uint8Array(Math.ceil(count / 8)).fill(0xff);
  if (count % 8 !== 0) bits[bits.length - 1] = (1 << (count % 8)) - 1;
  return bits;
}

function countOnes(bytes: Uint8Array): number {
  let ones = 0;
  for (const byte of bytes) {
    if (byte === 0xff) ones += 8;
    else for (let bits = byte; bits !== 0; bits &= bits - 1) ones++;
  }
  return ones;
}

function put16And16(view: DataView, low: number, high: number, value: number): void {
  view.setUint16(low, value & 0xffff, true);
  view.setUint16(high, value >>> 16, true);
}
