import { blockBytes, blocksPerGroup } from "./format.ts";
import { type Geometry, hasSuperblock } from "./geometry.ts";
import type { ImageSink } from "./image_file.ts";

const numbersPerBlock = blockBytes / 4;
/** Block 13 of an inode's 15: the double indirect one. */
const doubleIndirect = 13;

/** What the resize inode is. */
export interface ResizeInode {
  /** Its 60 bytes of block numbers. */
  readonly blockField: Uint8Array;
  readonly size: number;
  /** Blocks that it takes. */
  readonly blocks: number;
}

/**
 * Writes the blocks of the resize inode. It owns the blocks kept for descriptors of groups to come:
 * as indirect blocks those behind the primary descriptors, as their content those of the copies.
 *
 * @param block the one that lists them
 */
export function putResizeInode(geometry: Geometry, block: number, sink: ImageSink): ResizeInode {
  const reserved = geometry.reservedDescriptorBlocks;
  const copies: number[] = [];
  for (let group = 1; group < geometry.groupCount; group++) {
    if (hasSuperblock(group)) copies.push(group);
  }
  const list = new Uint8Array(blockBytes);
  const listView = new DataView(list.buffer);
  const first = 1 + geometry.descriptorBlocks;
  const content = new Uint8Array(reserved * blockBytes);
  const contentView = new DataView(content.buffer);
  for (let index = 0; index < reserved; index++) {
    const slot = (geometry.descriptorBlocks + index) % numbersPerBlock;
    listView.setUint32(slot * 4, first + index, true);
    copies.forEach((group, at) =>
      contentView.setUint32(
        index * blockBytes + at * 4,
        first + index + group * blocksPerGroup,
        true,
      )
    );
  }
  sink.writeAt(content, first * blockBytes);
  sink.writeAt(list, block * blockBytes);
  const blockField = new Uint8Array(60);
  new DataView(blockField.buffer).setUint32(doubleIndirect * 4, block, true);
  return {
    blockField,
    size: (numbersPerBlock ** 2 + numbersPerBlock + 12) * blockBytes,
    blocks: 1 + reserved * (1 + copies.length),
  };
}
