import { setImmediate } from "node:timers";
import { BangerError } from "../model/errors.ts";
import { bytesOf } from "./byte_string.ts";
import { Checksums } from "./checksums.ts";
import { ContentWriter } from "./content_writer.ts";
import { directoryBlocks, roomyDirectory } from "./directory.ts";
import {
  blockBytes,
  blocksPerGroup,
  firstInode,
  inodeFlags,
  inodeTypes,
  journalInode,
  resizeInode,
} from "./format.ts";
import { geometryFor, hasSuperblock } from "./geometry.ts";
import { type GroupInodes, putGroups } from "./group_metadata.ts";
import { hashSeed } from "./half_md4.ts";
import type { ImageSink } from "./image_file.ts";
import { type Content, Inode, type Timestamp } from "./inode.ts";
import { InodeTable } from "./inode_table.ts";
import { journalSuperblock } from "./journal.ts";
import { type Layout, layOut } from "./layout.ts";
import { type NumberedDirectory, numberInodes } from "./number_inodes.ts";
import { putResizeInode } from "./resize_inode.ts";
import { superblock } from "./superblock.ts";

/** What the caller decides of a file system; equal values and calls make equal bytes. */
export interface Ext4Options {
  /** Virtual size in bytes: 16 MiB to 16 TiB. Blocks that are not written stay holes. */
  readonly sizeBytes: number;
  /** 16 bytes. */
  readonly uuid: Uint8Array;
  /** At most 16 bytes of ASCII. */
  readonly label?: string;
  /** When the file system and its inodes were made. */
  readonly made: Timestamp;
  /** How many inodes there must be at least. */
  readonly inodes?: number;
  readonly signal?: AbortSignal;
}

/** What was written. */
export interface Ext4Summary {
  /** Bytes of blocks that are taken, the file system's own included. */
  readonly usedBytes: number;
  readonly inodes: number;
}

const lostAndFoundBlocks = 4;
/** How many inodes or directories are written between two turns of the event loop. */
const turnLength = 1000;

/**
 * Writes one ext4 file system in one pass: first the contents of files, as they come, through
 * {@linkcode Ext4Writer.contents}; then the tree that refers to them, through
 * {@linkcode Ext4Writer.finish}.
 */
export class Ext4Writer {
  /** Takes the contents of files. */
  readonly contents: ContentWriter;
  readonly #options: Ext4Options;
  readonly #layout: Layout;
  readonly #checksums: Checksums;
  readonly #hashSeed: Uint32Array;
  readonly #sink: ImageSink;
  readonly #overheadBlocks: number;

  /** @throws BangerError `invalid` when the size is out of bounds */
  constructor(sink: ImageSink, options: Ext4Options) {
    this.#sink = sink;
    this.#options = options;
    this.#layout = layOut(geometryFor(options.sizeBytes, options.inodes));
    this.#overheadBlocks = this.#layout.space.usedBlocks;
    this.#checksums = new Checksums(options.uuid);
    this.#hashSeed = hashSeed(options.uuid);
    this.contents = new ContentWriter(this.#layout.space, sink);
  }

  /**
   * Writes everything else. A directory `lost+found` is added to `root` where the name is free.
   *
   * @throws BangerError `exhausted` when the tree does not fit
   */
  async finish(root: Inode): Promise<Ext4Summary> {
    const lostAndFound = this.#addLostAndFound(root);
    const { inodes, directories } = numberInodes(root);
    const { geometry } = this.#layout;
    const last = firstInode + inodes.length - 2;
    if (last > geometry.inodesPerGroup * geometry.groupCount) {
      throw new BangerError(
        "exhausted",
        `Cannot write the file system: ${inodes.length} inodes do not fit`,
        { hint: "Ask for a larger disk", code: "IMAGE_TOO_LARGE" },
      );
    }
    const indexed = new Set<Inode>();
    const contents = new Map<Inode, Content>();
    let done = 0;
    for (const directory of directories) {
      contents.set(directory.inode, this.#putDirectory(directory, lostAndFound, indexed));
      if (++done % turnLength === 0) await this.#turn();
    }
    const table = new InodeTable(
      this.#layout,
      this.#checksums,
      this.contents,
      this.#sink,
      this.#options.made,
    );
    const [rootNode, ...others] = inodes;
    table.put(rootNode!, contents.get(rootNode!), indexed.has(rootNode!));
    const journalRecord = this.#putReserved(table);
    for (const inode of others) {
      table.put(inode, contents.get(inode), indexed.has(inode));
      if (++done % turnLength === 0) await this.#turn();
    }
    table.flush();
    this.contents.flush();
    this.#putMetadata(
      groupInodes(geometry.inodesPerGroup, geometry.groupCount, last, directories),
      {
        journalRecord,
      },
    );
    return { usedBytes: this.#layout.space.usedBlocks * blockBytes, inodes: inodes.length };
  }

  async #turn(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#options.signal?.throwIfAborted();
  }

  /** Adds `lost+found` where the name is free; e2fsck needs it only to put what it finds. */
  #addLostAndFound(root: Inode): Inode | undefined {
    if (root.body.type !== "directory") throw new Error("the root is no directory");
    const { children } = root.body;
    if (children.has("lost+found")) return undefined;
    const made = new Inode(
      { mode: 0o700, uid: 0, gid: 0, mtime: this.#options.made, xattrs: [] },
      { type: "directory", children: new Map() },
    );
    children.set("lost+found", made);
    return made;
  }

  #putDirectory(
    { inode, parent }: NumberedDirectory,
    lostAndFound: Inode | undefined,
    indexed: Set<Inode>,
  ): Content {
    if (inode.body.type !== "directory") throw new Error("not a directory");
    const input = {
      number: inode.number,
      parent: parent.number,
      entries: Array.from(inode.body.children, ([name, child]) => ({
        name,
        inode: child.number,
        type: inodeTypes[child.body.type].entry,
      })),
      inodeSeed: this.#checksums.ofInode(inode.number),
      hashSeed: this.#hashSeed,
    };
    if (inode === lostAndFound) {
      return this.contents.putAll(roomyDirectory(input, lostAndFoundBlocks));
    }
    const { bytes, isIndexed } = directoryBlocks(input);
    if (isIndexed) indexed.add(inode);
    return this.contents.putAll(bytes);
  }

  /** The resize inode and the journal; the others that are reserved stay zero. */
  #putReserved(table: InodeTable): Uint8Array {
    const { geometry, resizeBlock, journal } = this.#layout;
    const resize = putResizeInode(geometry, resizeBlock, this.#sink);
    table.putReserved(resizeInode, {
      size: resize.size,
      blocks: resize.blocks,
      flags: 0,
      blockField: resize.blockField,
    });
    const journalBytes = geometry.journalBlocks * blockBytes;
    this.#sink.writeAt(
      journalSuperblock(geometry.journalBlocks, this.#options.uuid),
      journal * blockBytes,
    );
    return table.putReserved(journalInode, {
      size: journalBytes,
      blocks: geometry.journalBlocks,
      flags: inodeFlags.extents,
      extents: [{ logical: 0, physical: journal, length: geometry.journalBlocks }],
    });
  }

  #putMetadata(inodes: readonly GroupInodes[], { journalRecord }: { journalRecord: Uint8Array }) {
    const { geometry } = this.#layout;
    const groups = putGroups(this.#layout, inodes, this.#checksums, this.#sink);
    const values = {
      geometry,
      freeBlocks: groups.freeBlocks,
      freeInodes: groups.freeInodes,
      uuid: this.#options.uuid,
      label: bytesOf((this.#options.label ?? "").slice(0, 16)),
      madeSeconds: Math.min(Math.max(0, this.#options.made.seconds), 2 ** 32 - 1),
      journalRecord,
      overheadBlocks: this.#overheadBlocks,
    };
    for (let group = 0; group < geometry.groupCount; group++) {
      if (!hasSuperblock(group)) continue;
      const start = group * blocksPerGroup * blockBytes;
      // Only the first is behind room for a boot loader.
      this.#sink.writeAt(superblock(values, group), start + (group === 0 ? 1024 : 0));
      this.#sink.writeAt(groups.descriptors, start + blockBytes);
    }
  }
}

/** How many inodes each group has, when they were given without gaps up to `last`. */
function groupInodes(
  perGroup: number,
  groupCount: number,
  last: number,
  directories: readonly NumberedDirectory[],
): GroupInodes[] {
  const counts = new Uint32Array(groupCount);
  for (const { inode } of directories) counts[Math.floor((inode.number - 1) / perGroup)]!++;
  return Array.from(counts, (count, group) => ({
    used: Math.min(Math.max(0, last - group * perGroup), perGroup),
    directories: count,
  }));
}
