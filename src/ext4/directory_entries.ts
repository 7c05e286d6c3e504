import { type ByteString, putBytes } from "./byte_string.ts";
import { blockBytes, directoryTailBytes } from "./format.ts";

/** One name of a directory. */
export interface DirectoryEntry {
  readonly name: ByteString;
  readonly inode: number;
  /** The type's number in {@linkcode inodeTypes}. */
  readonly type: number;
}

/** Where the entries of a block end. */
export const entriesEnd: number = blockBytes - directoryTailBytes;

/** Bytes that an entry takes at least. */
export function entryBytes(name: ByteString): number {
  return (8 + name.length + 3) & ~3;
}

/** Writes an entry that reaches `length` bytes. */
export function putEntry(
  view: DataView,
  at: number,
  { name, inode, type }: DirectoryEntry,
  length: number,
): void {
  view.setUint32(at, inode, true);
  view.setUint16(at + 4, length, true);
  view.setUint8(at + 6, name.length);
  view.setUint8(at + 7, type);
  putBytes(new Uint8Array(view.buffer, view.byteOffset), at + 8, name);
}

/** Writes entries, of which the last reaches up to the block's checksum. */
export function putEntries(
  view: DataView,
  start: number,
  entries: readonly DirectoryEntry[],
): void {
  let at = start;
  const end = start + entriesEnd;
  entries.forEach((entry, index) => {
    const isLast = index === entries.length - 1;
    const length = isLast ? end - at : entryBytes(entry.name);
    putEntry(view, at, entry, length);
    at += length;
  });
  // A block without a name is one entry of no inode.
  if (entries.length === 0) view.setUint16(start + 4, entriesEnd, true);
}
