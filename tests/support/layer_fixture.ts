import { bytesOf, type ByteString, putBytes } from "../../src/ext4/byte_string.ts";

/** One entry of a layer that a test writes. What is left out is usual: a file of root's, 0644. */
export interface FixtureEntry {
  readonly name: ByteString;
  /** The header's type; a directory when the name ends with a slash, else a file. */
  readonly flag?: string;
  readonly link?: ByteString;
  readonly content?: Uint8Array | string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly major?: number;
  readonly minor?: number;
  readonly xattrs?: Readonly<Record<string, Uint8Array | string>>;
  /** Records of an extended header; they come before those that the other fields need. */
  readonly pax?: Readonly<Record<string, Uint8Array | string>>;
  /** The size that the header tells, where it is not the content's. */
  readonly size?: number;
}

/** Time of entries that say none. */
export const fixtureTime = 1_600_000_000;

/** A tar with its end mark. */
export function tarOf(entries: readonly FixtureEntry[]): Uint8Array {
  return joined([...entries.map(entryBytes), new Uint8Array(1024)]);
}

/** The bytes of one entry with all its headers, for archives that are put together by hand. */
export function entryBytes(entry: FixtureEntry): Uint8Array {
  const content = asBytes(entry.content ?? "");
  const records: [string, Uint8Array | string][] = Object.entries(entry.pax ?? {});
  if (entry.name.length > 100) records.push(["path", bytesOf(entry.name)]);
  if ((entry.link?.length ?? 0) > 100) records.push(["linkpath", bytesOf(entry.link!)]);
  for (const [name, value] of Object.entries(entry.xattrs ?? {})) {
    records.push([`SCHILY.xattr.${name}`, value]);
  }
  const parts = [header({ ...entry, size: entry.size ?? content.length }), padded(content)];
  if (records.length > 0) {
    const pax = joined(records.map(([key, value]) => paxRecord(key, asBytes(value))));
    parts.unshift(header({ name: "pax", flag: "x", size: pax.length }), padded(pax));
  }
  return joined(parts);
}

/** A header block with a right checksum. */
export function header(entry: FixtureEntry): Uint8Array {
  const block = new Uint8Array(512);
  putBytes(block, 0, entry.name.slice(0, 100));
  putNumber(block, 100, 8, entry.mode ?? (entry.name.endsWith("/") ? 0o755 : 0o644));
  putNumber(block, 108, 8, entry.uid ?? 0);
  putNumber(block, 116, 8, entry.gid ?? 0);
  putNumber(block, 124, 12, entry.size ?? 0);
  putNumber(block, 136, 12, entry.mtime ?? fixtureTime);
  putBytes(block, 156, entry.flag ?? (entry.name.endsWith("/") ? "5" : "0"));
  putBytes(block, 157, (entry.link ?? "").slice(0, 100));
  putBytes(block, 257, "ustar\x0000");
  putNumber(block, 329, 8, entry.major ?? 0);
  putNumber(block, 337, 8, entry.minor ?? 0);
  return sealed(block);
}

/** The block with its checksum set anew. */
export function sealed(block: Uint8Array): Uint8Array {
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  putBytes(block, 148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return block;
}

/** A pax record, which tells its own length. */
export function paxRecord(key: string, value: Uint8Array): Uint8Array {
  const rest = key.length + value.length + 3;
  let length = rest + 1;
  while (rest + String(length).length !== length) length = rest + String(length).length;
  return joined([bytesOf(`${length} ${key}=`), value, bytesOf("\n")]);
}

/** Filled up to a whole block. */
export function padded(content: Uint8Array): Uint8Array {
  return joined([content, new Uint8Array((512 - content.length % 512) % 512)]);
}

/** All of them behind each other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function asBytes(value: Uint8Array | string): Uint8Array {
  return typeof value === "string" ? bytesOf(value) : value;
}

/** Octal where it fits, else base 256. */
function putNumber(block: Uint8Array, at: number, length: number, value: number): void {
  const octal = value.toString(8);
  if (value >= 0 && octal.length < length) {
    putBytes(block, at, octal.padStart(length - 1, "0"));
    return;
  }
  let left = BigInt(value);
  for (let index = length - 1; index >= 0; index--) {
    block[at + index] = Number(left & 0xffn);
    left >>= 8n;
  }
  block[at]! |= 0x80;
}
