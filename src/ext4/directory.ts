import { sealDirectoryBlock } from "./checksums.ts";
import { type DirectoryEntry, entriesEnd, entryBytes, putEntries } from "./directory_entries.ts";
import { blockBytes } from "./format.ts";
import { indexedDirectory } from "./indexed_directory.ts";

/** What a directory's blocks are made of. */
export interface DirectoryInput {
  readonly number: number;
  readonly parent: number;
  readonly entries: readonly DirectoryEntry[];
  /** Seed of the checksums of this inode. */
  readonly inodeSeed: number;
  readonly hashSeed: Uint32Array;
}

/** A directory's blocks. */
export interface DirectoryBlocks {
  readonly bytes: Uint8Array;
  /** Whether the first block is an index by hash. */
  readonly isIndexed: boolean;
}

/**
 * The blocks of a directory. One that fits a block is a plain list; a larger one is indexed, since
 * the kernel never indexes one later that has more blocks, and every lookup in it would read all.
 */
export function directoryBlocks(input: DirectoryInput): DirectoryBlocks {
  const dots = dotEntries(input);
  let length = 2 * entryBytes(".");
  for (const { name } of input.entries) length += entryBytes(name);
  if (length > entriesEnd) return { bytes: indexedDirectory(input), isIndexed: true };
  const bytes = new Uint8Array(blockBytes);
  putEntries(new DataView(bytes.buffer), 0, [...dots, ...input.entries]);
  sealDirectoryBlock(bytes, 0, input.inodeSeed);
  return { bytes, isIndexed: false };
}

/** An empty directory of several blocks: `lost+found`, which e2fsck fills without taking new ones. */
export function roomyDirectory(input: DirectoryInput, blocks: number): Uint8Array {
  const bytes = new Uint8Array(blocks * blockBytes);
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < blocks; block++) {
    putEntries(view, block * blockBytes, block === 0 ? dotEntries(input) : []);
    sealDirectoryBlock(bytes, block * blockBytes, input.inodeSeed);
  }
  return bytes;
}

function dotEntries({ number, parent }: DirectoryInput): DirectoryEntry[] {
  return [{ name: ".", inode: number, type: 2 }, { name: "..", inode: parent, type: 2 }];
}
