import { BangerError } from "../model/errors.ts";
import {
  blockBytes,
  blocksPerGroup,
  descriptorBytes,
  inodesPerBlock,
  journalInode,
} from "./format.ts";

/** How large the parts of a file system are. */
export interface Geometry {
  readonly blockCount: number;
  readonly groupCount: number;
  readonly inodesPerGroup: number;
  /** Blocks of one group's inode table. */
  readonly inodeTableBlocks: number;
  /** Blocks of the group descriptors. */
  readonly descriptorBlocks: number;
  /** Blocks kept behind the descriptors, for those of groups that `resize2fs` adds. */
  readonly reservedDescriptorBlocks: number;
  readonly journalBlocks: number;
}

const minBytes = 16 * 1024 ** 2;
/** 16 TiB: block numbers keep to 32 bits, so that their high halves are zero everywhere. */
const maxBytes = 2 ** 32 * blockBytes;
/** Space for a file system that grows online up to 1 TiB; beyond it the kernel goes on with meta_bg. */
const growthBlocks = 1024 ** 4 / blockBytes;
const descriptorsPerBlock = blockBytes / descriptorBytes;
/** The resize inode lists them in one block. */
const maxReservedBlocks = blockBytes / 4;
/** mke2fs's ratio: one inode for as many bytes. */
const bytesPerInode = 16384;
/** Container images have many small files; a table that is not used is a hole and costs nothing. */
const usualInodes = 262_144;
const smallestBytesPerInode = 4096;
/** As mke2fs: a last group that has no room beside its own metadata is left out. */
const smallestGroupBlocks = 50;

/**
 * Sizes of the parts for a file system of `sizeBytes`.
 *
 * @param inodes how many there must be at least; by size when left out
 * @throws BangerError `invalid` when the size is out of bounds
 */
export function geometryFor(sizeBytes: number, inodes = 0): Geometry {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < minBytes || sizeBytes > maxBytes) {
    throw new BangerError(
      "invalid",
      `Cannot make a file system of ${sizeBytes} bytes: it takes 16 MiB to 16 TiB`,
    );
  }
  let blockCount = Math.floor(sizeBytes / blockBytes);
  const usual = Math.min(usualInodes, Math.floor(sizeBytes / smallestBytesPerInode / 2));
  const wanted = Math.max(Math.floor(sizeBytes / bytesPerInode), usual, inodes);
  let groupCount = Math.ceil(blockCount / blocksPerGroup);
  const inodeTableBlocks = Math.ceil(Math.ceil(wanted / groupCount) / inodesPerBlock);
  const inodesPerGroup = inodeTableBlocks * inodesPerBlock;
  if (inodesPerGroup > blocksPerGroup) {
    throw new BangerError(
      "invalid",
      `Cannot make a file system of ${sizeBytes} bytes: ${wanted} inodes do not fit`,
    );
  }
  const descriptorBlocks = Math.ceil(groupCount / descriptorsPerBlock);
  const grown = Math.min(growthBlocks, blockCount * 1024);
  const wantedDescriptors = Math.ceil(grown / blocksPerGroup / descriptorsPerBlock);
  const reservedDescriptorBlocks = Math.min(
    maxReservedBlocks,
    Math.max(0, wantedDescriptors - descriptorBlocks),
  );
  const last = blockCount % blocksPerGroup;
  const metadata = 1 + descriptorBlocks + reservedDescriptorBlocks + 2 + inodeTableBlocks;
  if (groupCount > 1 && last > 0 && last < metadata + smallestGroupBlocks) {
    groupCount--;
    blockCount -= last;
  }
  return {
    blockCount,
    groupCount,
    inodesPerGroup,
    inodeTableBlocks,
    descriptorBlocks,
    reservedDescriptorBlocks,
    journalBlocks: journalBlocks(blockCount),
  };
}

/** Blocks of the journal: at most 32 MiB, as in banger's other images. */
function journalBlocks(blockCount: number): number {
  if (blockCount < 32768) return 1024;
  if (blockCount < 262_144) return 4096;
  return 8192;
}

/** Whether `group` has a copy of the superblock and the descriptors (sparse_super). */
export function hasSuperblock(group: number): boolean {
  return group <= 1 || [3, 5, 7].some((base) => isPower(group, base));
}

function isPower(value: number, base: number): boolean {
  let power = base;
  while (power < value) power *= base;
  return power === value;
}

/** How many blocks of `group` the copy of the superblock and what follows it take. */
export function superblockBlocks(geometry: Geometry, group: number): number {
  return hasSuperblock(group)
    ? 1 + geometry.descriptorBlocks + geometry.reservedDescriptorBlocks
    : 0;
}

/** How many inodes the writer needs for itself: the reserved ones. */
export const reservedInodes: number = journalInode + 2;
