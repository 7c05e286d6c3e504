import { BangerError } from "../model/errors.ts";
import type { ByteReader } from "./byte_reader.ts";

const blockBytes = 512;
const maxNameBytes = 4096;
const maxPaxBytes = 64 * 1024;
const maxEntries = 1_000_000;

/** What a tar entry is; everything but the first three is only reported, never followed. */
export type TarEntryType = "file" | "directory" | "symlink" | "hardlink" | "other";

/** One entry. Names are bytes: tar knows no encoding. */
export interface TarEntry {
  readonly type: TarEntryType;
  readonly name: Uint8Array;
  readonly link: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
  /** Length of the content, which follows in the reader; what is left unread is skipped. */
  readonly bytes: number;
}

/** What extended headers say about the next entry. */
interface Overrides {
  name?: Uint8Array;
  link?: Uint8Array;
  bytes?: number;
}

/**
 * Walks a tar stream: ustar with its prefix field, GNU long names and links, pax `path`, `linkpath`
 * and `size` (POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format").
 *
 * @param label how errors name the file
 * @throws BangerError `untrusted` when it is damaged, cut off, or exceeds a bound
 */
export async function* tarEntries(reader: ByteReader, label: string): AsyncGenerator<TarEntry> {
  const fail = (why: string) =>
    new BangerError("untrusted", `Cannot read "${label}": its tar ${why}`);
  let overrides: Overrides = {};
  for (let count = 0; count <= maxEntries; count++) {
    const header = await reader.upTo(blockBytes);
    if (header.length < blockBytes) throw fail("ends without its end mark");
    if (header.every((byte) => byte === 0)) return;
    if (!checksumHolds(header)) throw fail("has a header with a wrong checksum");
    const typeFlag = String.fromCharCode(header[156] ?? 0);
    const size = numberField(header, 124, 12);
    if (size === undefined) throw fail("has a header with a damaged size");
    if ("LKxg".includes(typeFlag)) {
      const limit = typeFlag === "L" || typeFlag === "K" ? maxNameBytes : maxPaxBytes;
      if (size > limit) throw fail("has an extended header that is too long");
      const content = await reader.upTo(size);
      await skipPadding(reader, size);
      if (typeFlag === "L") overrides.name = untilNul(content);
      else if (typeFlag === "K") overrides.link = untilNul(content);
      else if (typeFlag === "x") {
        const pax = paxOverrides(content);
        if (pax === undefined) throw fail("has a damaged pax header");
        overrides = { ...overrides, ...pax };
      }
      continue;
    }
    const type = entryType(typeFlag);
    const bytes = type === "file" ? overrides.bytes ?? size : 0;
    const start = reader.offset;
    yield {
      type,
      name: overrides.name ?? ustarName(header),
      link: overrides.link ?? untilNul(header.subarray(157, 257)),
      mode: (numberField(header, 100, 8) ?? 0) & 0o7777,
      bytes,
    };
    overrides = {};
    const left = bytes - (reader.offset - start);
    if (await reader.skip(left) < left) throw fail("ends within a file");
    await skipPadding(reader, bytes);
  }
  throw fail(`has more than ${maxEntries} entries`);
}

async function skipPadding(reader: ByteReader, bytes: number): Promise<void> {
  await reader.skip((blockBytes - (bytes % blockBytes)) % blockBytes);
}

function entryType(flag: string): TarEntryType {
  switch (flag) {
    case "0":
    case "\0":
    case "7":
      return "file";
    case "1":
      return "hardlink";
    case "2":
      return "symlink";
    case "5":
      return "directory";
    default:
      return "other";
  }
}

function ustarName(header: Uint8Array): Uint8Array {
  const name = untilNul(header.subarray(0, 100));
  const prefix = untilNul(header.subarray(345, 500));
  const isPosix = new TextDecoder("latin1").decode(header.subarray(257, 263)) === "ustar\0";
  if (!isPosix || prefix.length === 0) return name.slice();
  return Uint8Array.of(...prefix, 0x2f, ...name);
}

function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

/** An octal field, or GNU's base-256 form; `undefined` when damaged or beyond 2^53. */
function numberField(header: Uint8Array, start: number, length: number): number | undefined {
  const field = header.subarray(start, start + length);
  if (((field[0] ?? 0) & 0x80) !== 0) {
    let value = (field[0] ?? 0) & 0x7f;
    for (const byte of field.subarray(1)) value = value * 256 + byte;
    return Number.isSafeInteger(value) ? value : undefined;
  }
  const text = new TextDecoder("latin1").decode(untilNul(field)).trim();
  if (text === "") return 0;
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined;
}

function checksumHolds(header: Uint8Array): boolean {
  let sum = 0;
  header.forEach((byte, index) => sum += index >= 148 && index < 156 ? 0x20 : byte);
  return numberField(header, 148, 8) === sum;
}

/** The records `LENGTH KEY=VALUE\n` that change a name, a link or a size. */
function paxOverrides(content: Uint8Array): Overrides | undefined {
  const found: Overrides = {};
  let at = 0;
  while (at < content.length) {
    const space = content.indexOf(0x20, at);
    const length = Number(latin1(content.subarray(at, space < 0 ? at : space)));
    const end = at + length;
    if (!Number.isInteger(length) || end <= space || end > content.length) return undefined;
    const record = content.subarray(space + 1, end - 1);
    const equals = record.indexOf(0x3d);
    if (content[end - 1] !== 0x0a || equals < 0) return undefined;
    const key = latin1(record.subarray(0, equals));
    const value = record.subarray(equals + 1);
    if ((key === "path" || key === "linkpath") && value.includes(0)) return undefined;
    if (key === "path") found.name = value;
    else if (key === "linkpath") found.link = value;
    else if (key === "size") {
      if (!/^[0-9]{1,15}$/.test(latin1(value))) return undefined;
      found.bytes = Number(latin1(value));
    }
    at = end;
  }
  return found;
}

function latin1(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}
