import { type ByteString, putBytes } from "./byte_string.ts";
import { blockBytes } from "./format.ts";
import type { Xattr } from "./inode.ts";
import { aclOnDisk } from "./posix_acl.ts";

/** An attribute as it is stored: the start of its name is a number. */
export interface XattrRecord {
  readonly index: number;
  readonly name: ByteString;
  readonly value: Uint8Array;
}

/** The starts of names that have a number; the whole name for access control lists. */
const prefixes: readonly (readonly [string, number])[] = [
  ["user.", 1],
  ["system.posix_acl_access", 2],
  ["system.posix_acl_default", 3],
  ["trusted.", 4],
  ["security.", 6],
];

/** Bytes of a record before its name. */
export const recordBytes = 16;
/** Bytes of an attribute block before its records. */
export const xattrBlockHeaderBytes = 32;
const endBytes = 4;
/** What one inode's attributes may take in their block. */
export const maxXattrBytes: number = blockBytes - xattrBlockHeaderBytes - endBytes;

/** How an attribute is stored; `undefined` for one that ext4 has no place for. */
export function xattrRecord({ name, value }: Xattr): XattrRecord | undefined {
  const found = prefixes.find(([prefix]) => name.startsWith(prefix));
  if (found === undefined) return undefined;
  const [prefix, index] = found;
  const rest = name.slice(prefix.length);
  const isAcl = !prefix.endsWith(".");
  // A namespace without a name, or a longer name that only starts like a list's.
  if ((rest === "") !== isAcl) return undefined;
  const stored = isAcl ? aclOnDisk(value) : value;
  return stored === undefined ? undefined : { index, name: rest, value: stored };
}

/** Bytes that a record and its value take. */
export function recordSize({ name, value }: XattrRecord): number {
  return padded(recordBytes + name.length) + padded(value.length);
}

/** Bytes that `records` take, with the mark behind the last. */
export function recordsSize(records: readonly XattrRecord[]): number {
  return records.reduce((sum, record) => sum + recordSize(record), endBytes);
}

/**
 * Writes records from `start` on, and their values from `end` backwards.
 *
 * @param base what the values' offsets are relative to
 * @param isHashed whether each record has its hash, as those of a block must
 */
export function putRecords(
  bytes: Uint8Array,
  records: readonly XattrRecord[],
  place: { start: number; end: number; base: number; isHashed: boolean },
): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = place.start;
  let valueAt = place.end;
  return records.map((record) => {
    valueAt -= padded(record.value.length);
    bytes.set(record.value, valueAt);
    view.setUint8(at, record.name.length);
    view.setUint8(at + 1, record.index);
    view.setUint16(at + 2, record.value.length === 0 ? 0 : valueAt - place.base, true);
    view.setUint32(at + 8, record.value.length, true);
    const hash = place.isHashed ? recordHash(record, view, valueAt) : 0;
    view.setUint32(at + 12, hash, true);
    putBytes(bytes, at + recordBytes, record.name);
    at += padded(recordBytes + record.name.length);
    return hash;
  });
}

/** Kernel: `ext4_xattr_hash_entry`. */
function recordHash({ name, value }: XattrRecord, view: DataView, valueAt: number): number {
  let hash = 0;
  for (let at = 0; at < name.length; at++) {
    hash = (hash << 5) ^ (hash >>> 27) ^ name.charCodeAt(at);
  }
  for (let at = 0; at < value.length; at += 4) {
    hash = (hash << 16) ^ (hash >>> 16) ^ view.getUint32(valueAt + at, true);
  }
  return hash >>> 0;
}

function padded(bytes: number): number {
  return (bytes + 3) & ~3;
}
