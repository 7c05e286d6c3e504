import { crc32c, crc32cOfWord } from "./crc32c.ts";
import type { BlockTaker } from "./extent_tree.ts";
import { blockBytes, inodeBytes } from "./format.ts";
import type { Xattr } from "./inode.ts";
import {
  maxXattrBytes,
  putRecords,
  recordSize,
  recordsSize,
  xattrBlockHeaderBytes,
  type XattrRecord,
  xattrRecord,
} from "./xattr_records.ts";

const magic = 0xea020000;

/** Whether ext4 can hold `xattrs` beside each other in one inode. */
export function xattrsFit(xattrs: readonly Xattr[]): boolean {
  return recordsSize(recordsOf(xattrs)) <= maxXattrBytes;
}

/** Whether ext4 has a place for an attribute of this name and value. */
export function canStore(xattr: Xattr): boolean {
  return xattrRecord(xattr) !== undefined;
}

/**
 * Writes the attributes of an inode: those that fit into its last bytes, the others into a block.
 *
 * @param inode the inode's record
 * @param bodyStart where its own fields end
 * @param seed of the file system's checksums
 * @returns the block; 0 when none is needed
 */
export function putXattrs(
  inode: Uint8Array,
  bodyStart: number,
  xattrs: readonly Xattr[],
  seed: number,
  blocks: BlockTaker,
): number {
  const first = bodyStart + 4;
  let room = inodeBytes - first - 4;
  const inBody: XattrRecord[] = [];
  const inBlock: XattrRecord[] = [];
  for (const record of recordsOf(xattrs)) {
    const size = recordSize(record);
    if (size <= room) {
      inBody.push(record);
      room -= size;
    } else inBlock.push(record);
  }
  if (inBody.length > 0) {
    new DataView(inode.buffer, inode.byteOffset, inode.length).setUint32(bodyStart, magic, true);
    putRecords(inode, inBody, { start: first, end: inodeBytes, base: first, isHashed: false });
  }
  return inBlock.length === 0 ? 0 : putBlock(inBlock, seed, blocks);
}

function recordsOf(xattrs: readonly Xattr[]): XattrRecord[] {
  return xattrs.flatMap((xattr) => xattrRecord(xattr) ?? []);
}

/** The kernel finds attributes in a block by their order: number, length of the name, name. */
function inOrder(a: XattrRecord, b: XattrRecord): number {
  return a.index - b.index || a.name.length - b.name.length ||
    (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}

function putBlock(records: readonly XattrRecord[], seed: number, blocks: BlockTaker): number {
  const bytes = new Uint8Array(blockBytes);
  const view = new DataView(bytes.buffer);
  const hashes = putRecords(bytes, records.toSorted(inOrder), {
    start: xattrBlockHeaderBytes,
    end: blockBytes,
    base: 0,
    isHashed: true,
  });
  view.setUint32(0, magic, true);
  view.setUint32(4, 1, true);
  view.setUint32(8, 1, true);
  view.setUint32(12, blockHash(hashes), true);
  const block = blocks.takeBlock();
  const numbered = crc32cOfWord(crc32cOfWord(seed, block), 0);
  // The checksum's own field is zero so far.
  view.setUint32(16, crc32c(numbered, bytes), true);
  blocks.putBlock(block, bytes);
  return block;
}

/** Kernel: `ext4_xattr_rehash`; 0 says that the block is not to be shared. */
function blockHash(hashes: readonly number[]): number {
  if (hashes.includes(0)) return 0;
  return hashes.reduce((sum, hash) => ((sum << 16) ^ (sum >>> 16) ^ hash) | 0, 0) >>> 0;
}
