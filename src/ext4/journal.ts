import { blockBytes } from "./format.ts";

const magic = 0xc03b3998;
const superblockVersion2 = 4;

/** The first block of an empty journal (jbd2; its numbers are big-endian). */
export function journalSuperblock(blocks: number, uuid: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(blockBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic);
  view.setUint32(4, superblockVersion2);
  view.setUint32(12, blockBytes);
  view.setUint32(16, blocks);
  // The log starts behind this block, with transaction 1; 0 at 28 says that there is none.
  view.setUint32(20, 1);
  view.setUint32(24, 1);
  bytes.set(uuid, 48);
  view.setUint32(64, 1);
  return bytes;
}
