import { BangerError } from "../model/errors.ts";
import { firstInode, maxLinks, rootInode } from "./format.ts";
import type { Inode } from "./inode.ts";

/** A directory, and the one that has its name. */
export interface NumberedDirectory {
  readonly inode: Inode;
  readonly parent: Inode;
}

/** The tree's inodes in the order of their numbers: the root, then from the first that is free on. */
export interface NumberedTree {
  readonly inodes: readonly Inode[];
  readonly directories: readonly NumberedDirectory[];
}

/**
 * Gives every inode below `root` its number and counts its links. Names of a directory get numbers
 * next to each other, so that listing one reads few blocks of the table.
 *
 * @throws BangerError `exhausted` when a file has more names than ext4 can count
 */
export function numberInodes(root: Inode): NumberedTree {
  root.number = rootInode;
  root.links = 2;
  let next = firstInode;
  const inodes: Inode[] = [root];
  const directories: NumberedDirectory[] = [{ inode: root, parent: root }];
  // Grows while it is walked.
  for (const { inode: parent } of directories) {
    if (parent.body.type !== "directory") continue;
    for (const child of parent.body.children.values()) {
      const isDirectory = child.body.type === "directory";
      if (child.number === 0) {
        child.number = next++;
        child.links = isDirectory ? 2 : 0;
        inodes.push(child);
      }
      if (isDirectory) {
        parent.links++;
        directories.push({ inode: child, parent });
      } else if (++child.links > maxLinks) {
        throw new BangerError(
          "exhausted",
          `Cannot write the file system: a file has more than ${maxLinks} names`,
        );
      }
    }
  }
  return { inodes, directories };
}

/** The link count on disk: 1 stands for a directory with more subdirectories than can be counted. */
export function linksOnDisk({ body, links }: Inode): number {
  return body.type === "directory" && links >= maxLinks ? 1 : links;
}
