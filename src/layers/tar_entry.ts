/**
 * Turns the layers of an OCI image into one tree, and that into an ext4 image, in one pass and
 * without unpacking anything onto the host.
 *
 * Owns: reading tar as layers have it (names are bytes), inflating with bounds, merging layers in
 * memory with their whiteouts, and streaming what survives into `src/ext4`. It fetches nothing, and
 * must not import anything of `src` but `model` and `ext4`.
 */
import type { ByteString } from "../ext4/byte_string.ts";
import type { Timestamp, Xattr } from "../ext4/inode.ts";

/** What a tar entry is. */
export type TarEntryType =
  | "file"
  | "directory"
  | "symlink"
  | "hardlink"
  | "character"
  | "block"
  | "fifo";

/** One entry of a layer, with all that its extended headers say. */
export interface TarEntry {
  readonly type: TarEntryType;
  /** As it is written there: it may be absolute or have a `..`. */
  readonly name: ByteString;
  /** Target of a symlink, or name of the entry that a hard link is to. */
  readonly link: ByteString;
  /** 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a file, in bytes, with its holes; 0 of anything else. */
  readonly size: number;
  readonly mtime: Timestamp;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: readonly Xattr[];
}

/** What receives the entries of a layer. Bytes are only valid during the call. */
export interface TarHandler {
  entry(entry: TarEntry): void;
  /** Content of the file that came last, at `offset`; what is left out is zero. */
  data(bytes: Uint8Array, offset: number): void;
  /** The content of the file that came last is complete. */
  endFile(): void;
}
