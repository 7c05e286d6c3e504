/**
 * Writes ext4 file systems: sparse, journalled, checksummed images that a kernel mounts and
 * `resize2fs` grows, made from nothing and by an ordinary user.
 *
 * Owns: everything about the format on disk (layout, checksums, extents, indexed directories,
 * extended attributes, resize inode, journal) and the tree of inodes that is written. It never reads
 * a file system. It knows nothing of images or layers and must not import anything above rank 1.
 */
import type { ByteString } from "./byte_string.ts";

/** A point in time. */
export interface Timestamp {
  /** Since 1970, before it negative. The format holds years 1901 to 2446; others are clamped. */
  readonly seconds: number;
  /** 0 to 999,999,999. */
  readonly nanoseconds: number;
}

/** An extended attribute, with the full name that programs see (`security.capability`). */
export interface Xattr {
  readonly name: ByteString;
  readonly value: Uint8Array;
}

/** What every inode has. */
export interface Attributes {
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Timestamp;
  readonly xattrs: readonly Xattr[];
}

/** A run of blocks of a file: `length` blocks from block `logical` of the file on. */
export interface Extent {
  readonly logical: number;
  readonly physical: number;
  length: number;
}

/** What is in a regular file: its extents are in the image already; what they leave out is zero. */
export interface Content {
  /** In bytes. */
  readonly size: number;
  readonly extents: readonly Extent[];
}

/** The content of a file of no bytes. */
export const noContent: Content = { size: 0, extents: [] };

/** What an inode is. */
export type InodeBody =
  | { readonly type: "file"; content: Content }
  | { readonly type: "directory"; readonly children: Map<ByteString, Inode> }
  | { readonly type: "symlink"; readonly target: ByteString }
  | { readonly type: "character" | "block"; readonly major: number; readonly minor: number }
  | { readonly type: "fifo" | "socket" };

/** An inode. Hard links are the same inode under several names. */
export class Inode {
  attributes: Attributes;
  readonly body: InodeBody;
  /** Number on disk; 0 until the writer gives one. */
  number = 0;
  /** Names of a file, or subdirectories and 2 of a directory; counted by the writer. */
  links = 0;

  constructor(attributes: Attributes, body: InodeBody) {
    this.attributes = attributes;
    this.body = body;
  }
}
