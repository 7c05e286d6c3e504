import { crc32c, crc32cOfWord } from "./crc32c.ts";
import { blockBytes, directoryTailBytes } from "./format.ts";

/** The checksums of metadata_csum: all of them start from the file system's UUID. */
export class Checksums {
  readonly seed: number;

  constructor(uuid: Uint8Array) {
    this.seed = crc32c(0xffffffff, uuid);
  }

  /** Seed of everything that belongs to one inode; generations are always 0. */
  ofInode(number: number): number {
    return crc32cOfWord(crc32cOfWord(this.seed, number), 0);
  }
}

/** Ends the block `start` of a directory, whose entries leave room, with its checksum. */
export function sealDirectoryBlock(bytes: Uint8Array, start: number, inodeSeed: number): void {
  const tail = start + blockBytes - directoryTailBytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(tail, 0, true);
  view.setUint16(tail + 4, directoryTailBytes, true);
  view.setUint8(tail + 6, 0);
  view.setUint8(tail + 7, 0xde);
  view.setUint32(tail + 8, crc32c(inodeSeed, bytes, start, tail), true);
}
