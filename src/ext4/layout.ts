import { BangerError } from "../model/errors.ts";
import { BlockSpace } from "./block_space.ts";
import { blocksPerGroup, groupsPerFlex } from "./format.ts";
import { type Geometry, superblockBlocks } from "./geometry.ts";

/** Where a group's own parts are, as block numbers. */
export interface GroupPlaces {
  readonly blockBitmap: number;
  readonly inodeBitmap: number;
  readonly inodeTable: number;
}

/** Where everything of fixed place is. */
export interface Layout {
  readonly geometry: Geometry;
  /** One for each group. */
  readonly groups: readonly GroupPlaces[];
  /** Block of the resize inode that lists the reserved descriptor blocks. */
  readonly resizeBlock: number;
  /** First block of the journal, which is one run. */
  readonly journal: number;
  /** What is taken so far: all of the above. */
  readonly space: BlockSpace;
}

/**
 * Gives every part of fixed place its blocks: superblock copies at the start of their groups, bitmaps
 * and inode tables of 16 groups together at the start of the first of them, then the journal.
 */
export function layOut(geometry: Geometry): Layout {
  const space = new BlockSpace(geometry.blockCount);
  for (let group = 0; group < geometry.groupCount; group++) {
    const blocks = superblockBlocks(geometry, group);
    if (blocks > 0) space.take(group * blocksPerGroup, blocks);
  }
  const groups: GroupPlaces[] = [];
  for (let first = 0; first < geometry.groupCount; first += groupsPerFlex) {
    const count = Math.min(groupsPerFlex, geometry.groupCount - first);
    const place = (blocks: number) =>
      Array.from({ length: count }, () => takeRun(space, first * blocksPerGroup, blocks));
    const [blockBitmaps, inodeBitmaps] = [place(1), place(1)];
    place(geometry.inodeTableBlocks).forEach((inodeTable, index) =>
      groups.push({
        blockBitmap: blockBitmaps[index]!,
        inodeBitmap: inodeBitmaps[index]!,
        inodeTable,
      })
    );
  }
  const resizeBlock = takeRun(space, 0, 1);
  const journal = takeRun(space, 0, geometry.journalBlocks);
  return { geometry, groups, resizeBlock, journal, space };
}

/** Takes the first `count` free blocks in a row at or after `goal`, else at or after the start. */
export function takeRun(space: BlockSpace, goal: number, count: number): number {
  const run = space.findRun(goal, count) ?? space.findRun(0, count);
  if (run === undefined) throw tooSmall(space);
  space.take(run.start, count);
  return run.start;
}

/** The error for a file system that is full. */
export function tooSmall(space: BlockSpace): BangerError {
  const mib = Math.floor(space.blockCount / 256);
  return new BangerError(
    "exhausted",
    `Cannot write the file system: its content does not fit into ${mib} MiB`,
    { hint: "Ask for a larger disk", code: "IMAGE_TOO_LARGE" },
  );
}
