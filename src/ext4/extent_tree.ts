import { crc32c } from "./crc32c.ts";
import { blockBytes } from "./format.ts";
import type { Extent } from "./inode.ts";

/** Takes a block, and writes one that was taken. */
export interface BlockTaker {
  takeBlock(): number;
  putBlock(block: number, bytes: Uint8Array): void;
}

const magic = 0xf30a;
const recordBytes = 12;
const inInode = 4;
/** The last four bytes of a block are its checksum. */
const inBlock = Math.floor((blockBytes - recordBytes - 4) / recordBytes);

/** One entry of a node above the leaves. */
interface Branch {
  readonly logical: number;
  readonly block: number;
}

/**
 * Writes the extents of a file: up to four into the inode, more as a tree of blocks.
 *
 * @param target the inode's 60 bytes
 * @returns how many blocks the tree takes
 */
export function putExtents(
  target: Uint8Array,
  extents: readonly Extent[],
  inodeSeed: number,
  blocks: BlockTaker,
): number {
  if (extents.length <= inInode) {
    putLeaf(target, extents, inInode);
    return 0;
  }
  let taken = 0;
  const putNode = (fill: (bytes: Uint8Array) => void): number => {
    const bytes = new Uint8Array(blockBytes);
    fill(bytes);
    const end = recordBytes + inBlock * recordBytes;
    new DataView(bytes.buffer).setUint32(end, crc32c(inodeSeed, bytes, 0, end), true);
    const block = blocks.takeBlock();
    blocks.putBlock(block, bytes);
    taken++;
    return block;
  };
  let level: Branch[] = inParts(extents).map((part) => ({
    logical: part[0]!.logical,
    block: putNode((bytes) => putLeaf(bytes, part, inBlock)),
  }));
  let depth = 1;
  for (; level.length > inInode; depth++) {
    const below = depth;
    level = inParts(level).map((part) => ({
      logical: part[0]!.logical,
      block: putNode((bytes) => putBranches(bytes, part, inBlock, below)),
    }));
  }
  putBranches(target, level, inInode, depth);
  return taken;
}

function inParts<T>(all: readonly T[]): T[][] {
  const parts: T[][] = [];
  for (let at = 0; at < all.length; at += inBlock) parts.push(all.slice(at, at + inBlock));
  return parts;
}

function putHeader(view: DataView, entries: number, max: number, depth: number): void {
  view.setUint16(0, magic, true);
  view.setUint16(2, entries, true);
  view.setUint16(4, max, true);
  view.setUint16(6, depth, true);
}

function putLeaf(bytes: Uint8Array, extents: readonly Extent[], max: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  putHeader(view, extents.length, max, 0);
  extents.forEach(({ logical, physical, length }, index) => {
    const at = (index + 1) * recordBytes;
    view.setUint32(at, logical, true);
    view.setUint16(at + 4, length, true);
    view.setUint32(at + 8, physical, true);
  });
}

function putBranches(
  bytes: Uint8Array,
  branches: readonly Branch[],
  max: number,
  depth: number,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  putHeader(view, branches.length, max, depth);
  branches.forEach(({ logical, block }, index) => {
    const at = (index + 1) * recordBytes;
    view.setUint32(at, logical, true);
    view.setUint32(at + 4, block, true);
  });
}
