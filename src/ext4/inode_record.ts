import { crc32c } from "./crc32c.ts";
import { inodeBytes } from "./format.ts";
import type { Timestamp } from "./inode.ts";

/** The fields of an inode on disk that a writer sets. */
export interface InodeFields {
  /** Type and permissions. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly links: number;
  /** Blocks that it takes, of the file system's size. */
  readonly blocks: number;
  readonly flags: number;
  readonly mtime: Timestamp;
  /** When the inode was made and last changed. */
  readonly made: Timestamp;
  /** Block of extended attributes, or 0. */
  readonly xattrBlock: number;
}

/** Fields beyond the old 128 bytes. */
const extraBytes = 32;
const oldBytes = 128;
/** Where the fields end, and attributes may start. */
export const inodeBodyEnd: number = oldBytes + extraBytes;
/** The 60 bytes of block numbers, an extent tree's root, a short link's target or a device's number. */
export const blockFieldAt = 40;
export const blockFieldBytes = 60;

const minSeconds = -(2 ** 31);
const maxSeconds = 2 ** 34 - 2 ** 31 - 1;

/** Writes the fields into a record of zeros. */
export function putInodeFields(record: Uint8Array, fields: InodeFields): void {
  const view = new DataView(record.buffer, record.byteOffset, inodeBytes);
  view.setUint16(0, fields.mode, true);
  view.setUint16(2, fields.uid & 0xffff, true);
  view.setUint32(4, fields.size % 2 ** 32, true);
  view.setUint16(24, fields.gid & 0xffff, true);
  view.setUint16(26, fields.links, true);
  const sectors = fields.blocks * 8;
  view.setUint32(28, sectors % 2 ** 32, true);
  view.setUint32(32, fields.flags, true);
  view.setUint32(104, fields.xattrBlock, true);
  view.setUint32(108, Math.floor(fields.size / 2 ** 32), true);
  view.setUint16(116, Math.floor(sectors / 2 ** 32), true);
  view.setUint16(120, fields.uid >>> 16, true);
  view.setUint16(122, fields.gid >>> 16, true);
  view.setUint16(128, extraBytes, true);
  putTime(view, 8, 140, fields.mtime);
  putTime(view, 12, 132, fields.made);
  putTime(view, 16, 136, fields.mtime);
  putTime(view, 144, 148, fields.made);
}

/** Ends a finished record with its checksum. */
export function sealInode(record: Uint8Array, inodeSeed: number): void {
  const view = new DataView(record.buffer, record.byteOffset, inodeBytes);
  const sum = crc32c(inodeSeed, record, 0, inodeBytes);
  view.setUint16(124, sum & 0xffff, true);
  view.setUint16(130, sum >>> 16, true);
}

/** Seconds modulo 2^32 in one field; two bits of epoch and the nanoseconds in the other. */
function putTime(view: DataView, at: number, extraAt: number, time: Timestamp): void {
  const seconds = Math.min(Math.max(time.seconds, minSeconds), maxSeconds);
  const low = seconds | 0;
  view.setInt32(at, low, true);
  const epoch = (seconds - low) / 2 ** 32;
  view.setUint32(extraAt, ((time.nanoseconds << 2) | epoch) >>> 0, true);
}
