import { type ByteString, byteString } from "../ext4/byte_string.ts";
import type { Timestamp, Xattr } from "../ext4/inode.ts";
import type { Refuse } from "./refusal.ts";

/** What extended headers say about the next entry. */
export interface PaxValues {
  name?: ByteString;
  link?: ByteString;
  size?: number;
  uid?: number;
  gid?: number;
  mtime?: Timestamp;
  xattrs?: Xattr[];
  sparse?: PaxSparse;
}

/** What they say about a sparse file, in any of the three forms. */
export interface PaxSparse {
  isVersion1?: boolean;
  name?: ByteString;
  realSize?: number;
  /** Offset and length by turns; only before version 1.0, which has them in front of the content. */
  numbers: number[];
}

const schily = "SCHILY.xattr.";
const libarchive = "LIBARCHIVE.xattr.";
const latestSeconds = 2 ** 40;

/**
 * Reads the records `LENGTH KEY=VALUE\n` of a pax header. Values of attributes are bytes; text keeps
 * its bytes, too. Keys that do not matter here are passed over, as are empty values, which stand for
 * the header's own; an attribute may be empty.
 *
 * @throws BangerError `untrusted` when a record is damaged
 */
export function parsePax(content: Uint8Array, maxSegments: number, refuse: Refuse): PaxValues {
  const damaged = () => refuse("has a damaged pax header", "IMAGE_DAMAGED");
  const values: PaxValues = {};
  const xattrs = new Map<ByteString, Uint8Array>();
  for (let at = 0; at < content.length;) {
    const space = content.indexOf(0x20, at);
    const digits = space < 0 ? "" : byteString(content, at, Math.min(space, at + 9));
    const end = at + Number(digits);
    if (!/^[1-9][0-9]{0,7}$/.test(digits) || end > content.length || end <= space + 1) {
      throw damaged();
    }
    const equals = content.indexOf(0x3d, space);
    if (equals < 0 || equals >= end || content[end - 1] !== 0x0a) throw damaged();
    const key = byteString(content, space + 1, equals);
    const value = content.subarray(equals + 1, end - 1);
    if (key.startsWith(schily)) xattrs.set(key.slice(schily.length), value.slice());
    else if (key.startsWith(libarchive)) {
      const decoded = decodeLibarchive(key.slice(libarchive.length), value);
      if (decoded === undefined) throw damaged();
      // The other form holds the same bytes and needs no decoding.
      if (!xattrs.has(decoded.name)) xattrs.set(decoded.name, decoded.value);
    } else if (value.length > 0) applyText(values, key, byteString(value), maxSegments, refuse);
    at = end;
  }
  if (xattrs.size > 0) values.xattrs = Array.from(xattrs, ([name, value]) => ({ name, value }));
  return values;
}

function applyText(
  values: PaxValues,
  key: ByteString,
  value: ByteString,
  maxSegments: number,
  refuse: Refuse,
): void {
  const wholeNumber = (what: string) => {
    const number = /^[0-9]{1,16}$/.test(value) ? Number(value) : NaN;
    if (!Number.isSafeInteger(number)) throw refuse(`has a damaged ${what}`, "IMAGE_DAMAGED");
    return number;
  };
  const withoutNul = () => {
    if (value.includes("\0")) throw refuse("has a NUL in its name", "IMAGE_UNSAFE_ENTRY");
    return value;
  };
  const sparse = () => values.sparse ??= { numbers: [] };
  const addSparse = (numbers: readonly number[]) => {
    const all = sparse().numbers;
    if (all.length + numbers.length > 2 * maxSegments) {
      throw refuse(`has more than ${maxSegments} data segments`, "IMAGE_LIMIT");
    }
    all.push(...numbers);
  };
  switch (key) {
    case "path":
      values.name = withoutNul();
      break;
    case "linkpath":
      values.link = withoutNul();
      break;
    case "size":
      values.size = wholeNumber("size");
      break;
    case "uid":
      values.uid = wholeNumber("owner");
      break;
    case "gid":
      values.gid = wholeNumber("group");
      break;
    case "mtime":
      values.mtime = parseTime(value, refuse);
      break;
    case "GNU.sparse.major":
      sparse().isVersion1 = value === "1";
      break;
    case "GNU.sparse.name":
      sparse().name = withoutNul();
      break;
    case "GNU.sparse.size":
    case "GNU.sparse.realsize":
      sparse().realSize = wholeNumber("sparse size");
      break;
    case "GNU.sparse.offset":
    case "GNU.sparse.numbytes":
      addSparse([wholeNumber("sparse map")]);
      break;
    case "GNU.sparse.map": {
      const numbers = value.split(",", 2 * maxSegments + 1);
      if (!numbers.every((number) => /^[0-9]{1,15}$/.test(number))) {
        throw refuse("has a damaged sparse map", "IMAGE_DAMAGED");
      }
      // Not by spread: there may be more than a call has arguments.
      for (const number of numbers) addSparse([Number(number)]);
      break;
    }
  }
}

/** Seconds with a fraction, of which nanoseconds are kept; before 1970 it is negative. */
function parseTime(value: ByteString, refuse: Refuse): Timestamp {
  const found = /^(-?)([0-9]{1,20})(?:\.([0-9]{0,64}))?$/.exec(value);
  if (found === null) throw refuse("has a damaged time", "IMAGE_DAMAGED");
  const [, sign, digits, fraction = ""] = found;
  const whole = Math.min(Number(digits), latestSeconds);
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, "0"));
  if (sign === "") return { seconds: whole, nanoseconds };
  return nanoseconds === 0
    ? { seconds: -whole, nanoseconds }
    : { seconds: -whole - 1, nanoseconds: 1e9 - nanoseconds };
}

/** libarchive's form: percent signs in the name, base64 without padding as the value. */
function decodeLibarchive(name: ByteString, value: Uint8Array): Xattr | undefined {
  const plain = name.replace(
    /%([0-9A-Fa-f]{2})/g,
    (_, digits: string) => String.fromCharCode(parseInt(digits, 16)),
  );
  try {
    const decoded = atob(byteString(value));
    return { name: plain, value: Uint8Array.from(decoded, (character) => character.charCodeAt(0)) };
  } catch {
    return undefined;
  }
}
