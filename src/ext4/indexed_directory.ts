import { BangerError } from "../model/errors.ts";
import { sealDirectoryBlock } from "./checksums.ts";
import { crc32c, crc32cOfWord } from "./crc32c.ts";
import type { DirectoryInput } from "./directory.ts";
import { entriesEnd, entryBytes, putEntries, putEntry } from "./directory_entries.ts";
import { blockBytes } from "./format.ts";
import { halfMd4, halfMd4Version } from "./half_md4.ts";

const rootCountAt = 32;
const nodeCountAt = 8;
const recordBytes = 8;
/** The checksum of an index block, behind its records. */
const tailBytes = 8;
const rootLimit = (blockBytes - rootCountAt - tailBytes) / recordBytes;
const nodeLimit = (blockBytes - nodeCountAt - tailBytes) / recordBytes;
/** Leaves are filled so far, so that the first new names do not split every one of them. */
const filledBytes = Math.floor(entriesEnd * 0.85);

/** A block of the index, or a leaf, and the smallest hash below it. */
interface Branch {
  readonly hash: number;
  readonly block: number;
}

/** Entries from `start` to `end` in the order of their hashes. */
interface Leaf {
  readonly start: number;
  readonly end: number;
  readonly hash: number;
}

/** The blocks of a directory with an index by hash ("htree"): root, nodes if needed, leaves. */
export function indexedDirectory(input: DirectoryInput): Uint8Array {
  const order = byHash(input);
  const leaves = inLeaves(input, order);
  const nodeCount = leaves.length <= rootLimit ? 0 : Math.ceil(leaves.length / nodeLimit);
  if (nodeCount > rootLimit) {
    throw new BangerError("exhausted", "Cannot write a directory: it has too many names for ext4");
  }
  const firstLeaf = 1 + nodeCount;
  const bytes = new Uint8Array((firstLeaf + leaves.length) * blockBytes);
  const view = new DataView(bytes.buffer);
  const branches = leaves.map(({ hash, start, end }, index): Branch => {
    const at = (firstLeaf + index) * blockBytes;
    putEntries(view, at, Array.from(order.subarray(start, end), (key) => entryOf(input, key)));
    sealDirectoryBlock(bytes, at, input.inodeSeed);
    return { hash, block: firstLeaf + index };
  });
  const top = nodeCount === 0 ? branches : Array.from({ length: nodeCount }, (_, node): Branch => {
    const part = branches.slice(node * nodeLimit, (node + 1) * nodeLimit);
    const at = (1 + node) * blockBytes;
    view.setUint16(at + 4, blockBytes, true);
    putRecords(bytes, at, nodeCountAt, nodeLimit, part, input.inodeSeed);
    return { hash: part[0]!.hash, block: 1 + node };
  });
  putEntry(view, 0, { name: ".", inode: input.number, type: 2 }, 12);
  putEntry(view, 12, { name: "..", inode: input.parent, type: 2 }, blockBytes - 12);
  view.setUint8(28, halfMd4Version);
  view.setUint8(29, 8);
  view.setUint8(30, nodeCount === 0 ? 0 : 1);
  putRecords(bytes, 0, rootCountAt, rootLimit, top, input.inodeSeed);
  return bytes;
}

/** An index of an entry is the low part of a key, so that keys sort by hash. */
const keyFactor = 2 ** 21;

function byHash({ entries, hashSeed }: DirectoryInput): Float64Array {
  if (entries.length >= keyFactor) {
    throw new BangerError("exhausted", "Cannot write a directory: it has too many names");
  }
  return Float64Array.from(
    entries,
    ({ name }, index) => halfMd4(name, hashSeed) * keyFactor + index,
  ).sort();
}

function entryOf({ entries }: DirectoryInput, key: number) {
  return entries[key % keyFactor]!;
}

function inLeaves(input: DirectoryInput, order: Float64Array): Leaf[] {
  const leaves: Leaf[] = [];
  let start = 0;
  let used = 0;
  let before = -1;
  let isContinued = false;
  for (let at = 0; at < order.length; at++) {
    const hash = Math.floor(order[at]! / keyFactor);
    const size = entryBytes(entryOf(input, order[at]!).name);
    if (used + size > filledBytes && at > start) {
      leaves.push({ start, end: at, hash: leafHash(order[start]!, isContinued) });
      isContinued = hash === before;
      start = at;
      used = 0;
    }
    used += size;
    before = hash;
  }
  leaves.push({ start, end: order.length, hash: leafHash(order[start]!, isContinued) });
  return leaves;
}

/** The lowest bit says that the block before has names of the same hash. */
function leafHash(key: number, isContinued: boolean): number {
  return Math.floor(key / keyFactor) + (isContinued ? 1 : 0);
}

/** Writes the records of an index block, and its checksum behind room for all it can have. */
function putRecords(
  bytes: Uint8Array,
  start: number,
  countAt: number,
  limit: number,
  branches: readonly Branch[],
  inodeSeed: number,
): void {
  const view = new DataView(bytes.buffer, start, blockBytes);
  branches.forEach(({ hash, block }, index) => {
    const at = countAt + index * recordBytes;
    // The first record has the counts in the place of its hash.
    if (index > 0) view.setUint32(at, hash, true);
    view.setUint32(at + 4, block, true);
  });
  view.setUint16(countAt, limit, true);
  view.setUint16(countAt + 2, branches.length, true);
  const covered = crc32c(inodeSeed, bytes, start, start + countAt + branches.length * recordBytes);
  const tail = countAt + limit * recordBytes;
  view.setUint32(tail + 4, crc32cOfWord(crc32cOfWord(covered, 0), 0), true);
}
