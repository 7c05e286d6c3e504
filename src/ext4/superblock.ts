import { crc32c } from "./crc32c.ts";
import {
  blocksPerGroup,
  descriptorBytes,
  features,
  firstInode,
  groupsPerFlex,
  inodeBytes,
  journalInode,
} from "./format.ts";
import type { Geometry } from "./geometry.ts";
import { blockFieldBytes } from "./inode_record.ts";
import { halfMd4Version } from "./half_md4.ts";

/** What the superblock tells besides the geometry. */
export interface SuperblockValues {
  readonly geometry: Geometry;
  readonly freeBlocks: number;
  readonly freeInodes: number;
  /** 16 bytes. */
  readonly uuid: Uint8Array;
  /** At most 16 bytes. */
  readonly label: Uint8Array;
  /** When the file system was made, in seconds since 1970. */
  readonly madeSeconds: number;
  /** Record of the journal's inode, of which a copy is kept here. */
  readonly journalRecord: Uint8Array;
  /** Blocks of fixed metadata, which statfs does not count. */
  readonly overheadBlocks: number;
}

const superblockBytes = 1024;
const checksumAt = 1020;
const magic = 0xef53;
const unsignedHash = 0x2;
/** user_xattr and acl. */
const defaultMountOptions = 0xc;
/** e2fsck counts mounts only when asked to. */
const neverByMounts = 0xffff;

/** The superblock, as it is in the copy of group `group`. */
export function superblock(values: SuperblockValues, group: number): Uint8Array {
  const { geometry } = values;
  const bytes = new Uint8Array(superblockBytes);
  const view = new DataView(bytes.buffer);
  const put32 = (fields: readonly (readonly [number, number])[]) =>
    fields.forEach(([at, value]) => view.setUint32(at, value, true));
  const put16 = (fields: readonly (readonly [number, number])[]) =>
    fields.forEach(([at, value]) => view.setUint16(at, value, true));
  put32([
    [0x00, geometry.inodesPerGroup * geometry.groupCount],
    [0x04, geometry.blockCount],
    [0x0c, values.freeBlocks],
    [0x10, values.freeInodes],
    // Block and cluster size: 1024 shifted by 2.
    [0x18, 2],
    [0x1c, 2],
    [0x20, blocksPerGroup],
    [0x24, blocksPerGroup],
    [0x28, geometry.inodesPerGroup],
    [0x30, values.madeSeconds],
    [0x40, values.madeSeconds],
    // Revision with the fields from here on.
    [0x4c, 1],
    [0x54, firstInode],
    [0x5c, features.compatible],
    [0x60, features.incompatible],
    [0x64, features.readOnlyCompatible],
    [0xe0, journalInode],
    [0x100, defaultMountOptions],
    [0x108, values.madeSeconds],
    [0x160, unsignedHash],
    [0x248, values.overheadBlocks],
  ]);
  put16([
    [0x36, neverByMounts],
    [0x38, magic],
    // Cleanly unmounted; continue after errors.
    [0x3a, 1],
    [0x3c, 1],
    [0x58, inodeBytes],
    [0x5a, group],
    [0xce, geometry.reservedDescriptorBlocks],
    [0xfe, descriptorBytes],
    [0x15c, 32],
    [0x15e, 32],
  ]);
  bytes.set(values.uuid, 0x68);
  bytes.set(values.label, 0x78);
  bytes.set(values.uuid, 0xec);
  bytes[0xfc] = halfMd4Version;
  // The journal's inode has a copy at 0x10c: its block field and its size.
  bytes[0xfd] = 1;
  bytes.set(values.journalRecord.subarray(40, 40 + blockFieldBytes), 0x10c);
  bytes.set(values.journalRecord.subarray(108, 112), 0x10c + blockFieldBytes);
  bytes.set(values.journalRecord.subarray(4, 8), 0x10c + blockFieldBytes + 4);
  bytes[0x174] = Math.log2(groupsPerFlex);
  // crc32c.
  bytes[0x175] = 1;
  view.setUint32(checksumAt, crc32c(0xffffffff, bytes, 0, checksumAt), true);
  return bytes;
}
