import { putBytes } from "./byte_string.ts";
import type { Checksums } from "./checksums.ts";
import { type BlockTaker, putExtents } from "./extent_tree.ts";
import type { ContentWriter } from "./content_writer.ts";
import { blockBytes, inodeBytes, inodeFlags, inodeTypes } from "./format.ts";
import type { ImageSink } from "./image_file.ts";
import { bytesOf } from "./byte_string.ts";
import type { Content, Extent, Inode, Timestamp } from "./inode.ts";
import {
  blockFieldAt,
  blockFieldBytes,
  inodeBodyEnd,
  putInodeFields,
  sealInode,
} from "./inode_record.ts";
import type { Layout } from "./layout.ts";
import { linksOnDisk } from "./number_inodes.ts";
import { putXattrs } from "./xattrs.ts";

/** A reserved inode. */
export interface ReservedInode {
  readonly size: number;
  readonly blocks: number;
  readonly flags: number;
  readonly blockField?: Uint8Array;
  readonly extents?: readonly Extent[];
}

/** Records that are gathered before a write. */
const gatheredRecords = 1024;

/** Writes the inode tables. Inodes come in the order of their numbers; those left out are zero. */
export class InodeTable {
  readonly #layout: Layout;
  readonly #checksums: Checksums;
  readonly #contents: ContentWriter & BlockTaker;
  readonly #sink: ImageSink;
  readonly #made: Timestamp;

  readonly #records = new Uint8Array(gatheredRecords * inodeBytes);
  /** Number of the first inode in `#records`, and how many are there. */
  #first = 1;
  #count = 0;

  constructor(
    layout: Layout,
    checksums: Checksums,
    contents: ContentWriter,
    sink: ImageSink,
    made: Timestamp,
  ) {
    this.#layout = layout;
    this.#checksums = checksums;
    this.#contents = contents;
    this.#sink = sink;
    this.#made = made;
  }

  /**
   * @param directory the blocks, when it is one
   * @param isIndexed whether they start with an index
   */
  put(inode: Inode, directory: Content | undefined, isIndexed: boolean): void {
    const record = this.#recordOf(inode.number);
    const { body, attributes } = inode;
    const seed = this.#checksums.ofInode(inode.number);
    const content = this.#contentOf(inode, directory);
    let blocks = 0;
    let flags = isIndexed ? inodeFlags.indexed : 0;
    if (content !== undefined) {
      flags |= inodeFlags.extents;
      blocks = blocksIn(content.extents) +
        putExtents(blockField(record), content.extents, seed, this.#contents);
    } else if (body.type === "symlink") putBytes(record, blockFieldAt, body.target);
    else if (body.type === "character" || body.type === "block") {
      putDevice(record, body.major, body.minor);
    }
    const xattrBlock = attributes.xattrs.length === 0 ? 0 : putXattrs(
      record,
      inodeBodyEnd,
      attributes.xattrs,
      this.#checksums.seed,
      this.#contents,
    );
    putInodeFields(record, {
      mode: inodeTypes[body.type].mode | attributes.mode,
      uid: attributes.uid,
      gid: attributes.gid,
      size: content?.size ?? (body.type === "symlink" ? body.target.length : 0),
      links: linksOnDisk(inode),
      blocks: blocks + (xattrBlock === 0 ? 0 : 1),
      flags,
      mtime: attributes.mtime,
      made: this.#made,
      xattrBlock,
    });
    sealInode(record, seed);
  }

  /** @returns a copy of the record */
  putReserved(number: number, inode: ReservedInode): Uint8Array {
    const record = this.#recordOf(number);
    const seed = this.#checksums.ofInode(number);
    if (inode.blockField !== undefined) record.set(inode.blockField, blockFieldAt);
    if (inode.extents !== undefined) {
      putExtents(blockField(record), inode.extents, seed, this.#contents);
    }
    putInodeFields(record, {
      mode: inodeTypes.file.mode | 0o600,
      uid: 0,
      gid: 0,
      size: inode.size,
      links: 1,
      blocks: inode.blocks,
      flags: inode.flags,
      mtime: this.#made,
      made: this.#made,
      xattrBlock: 0,
    });
    sealInode(record, seed);
    return record.slice();
  }

  /** Writes what is gathered. */
  flush(): void {
    const { geometry, groups } = this.#layout;
    for (let done = 0; done < this.#count;) {
      const index = this.#first + done - 1;
      const group = Math.floor(index / geometry.inodesPerGroup);
      const within = index % geometry.inodesPerGroup;
      const count = Math.min(this.#count - done, geometry.inodesPerGroup - within);
      this.#sink.writeAt(
        this.#records.subarray(done * inodeBytes, (done + count) * inodeBytes),
        groups[group]!.inodeTable * blockBytes + within * inodeBytes,
      );
      done += count;
    }
    this.#first += this.#count;
    this.#count = 0;
    this.#records.fill(0);
  }

  #recordOf(number: number): Uint8Array {
    if (number - this.#first >= gatheredRecords) this.flush();
    const index = number - this.#first;
    if (index < this.#count || index >= gatheredRecords) throw new Error("inodes out of order");
    this.#count = index + 1;
    return this.#records.subarray(index * inodeBytes, (index + 1) * inodeBytes);
  }

  /** What is in an inode's blocks; `undefined` for one without any. */
  #contentOf({ body }: Inode, directory: Content | undefined): Content | undefined {
    switch (body.type) {
      case "directory":
        return directory;
      case "file":
        return body.content;
      case "symlink":
        // The kernel takes a target for one in the inode when it leaves room for an end mark.
        return body.target.length < blockFieldBytes
          ? undefined
          : this.#contents.putAll(bytesOf(body.target));
      default:
        return undefined;
    }
  }
}

function blockField(record: Uint8Array): Uint8Array {
  return record.subarray(blockFieldAt, blockFieldAt + blockFieldBytes);
}

function blocksIn(extents: readonly Extent[]): number {
  return extents.reduce((sum, { length }) => sum + length, 0);
}

/** Small numbers in the old form, others in the new one (kernel: `ext4_set_device_number`). */
function putDevice(record: Uint8Array, major: number, minor: number): void {
  const view = new DataView(record.buffer, record.byteOffset, inodeBytes);
  if (major < 256 && minor < 256) view.setUint32(blockFieldAt, (major << 8) | minor, true);
  else {
    const number = (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);
    view.setUint32(blockFieldAt + 4, number >>> 0, true);
  }
}
