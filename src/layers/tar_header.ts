import { type ByteString, byteString } from "../ext4/byte_string.ts";
import type { Refuse } from "./refusal.ts";

/** Bytes of a tar block. */
export const tarBlockBytes = 512;

/** A tar header as it is, before extended headers change it. */
export interface TarHeader {
  /** The type, as its character. */
  readonly flag: string;
  readonly name: ByteString;
  readonly link: ByteString;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes that follow. */
  readonly size: number;
  readonly mtimeSeconds: number;
  readonly major: number;
  readonly minor: number;
}

const checksumField = { start: 148, end: 156 };

/** Whether a block has nothing but zeros: two of them end an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  for (let at = 0; at < tarBlockBytes; at++) {
    if (block[at] !== 0) return false;
  }
  return true;
}

/**
 * Reads a header of any of the forms that are about: v7, ustar, GNU, star (POSIX.1-2017 pax, "ustar
 * Interchange Format"; GNU tar manual, "Basic Tar Format").
 *
 * @throws BangerError `untrusted` when it is damaged
 */
export function parseHeader(block: Uint8Array, refuse: Refuse): TarHeader {
  if (!checksumHolds(block)) throw refuse("has a wrong checksum", "IMAGE_DAMAGED");
  const field = (start: number, length: number, what: string) => {
    const value = parseNumber(block, start, length);
    if (value === undefined) throw refuse(`has a damaged ${what}`, "IMAGE_DAMAGED");
    return value;
  };
  const size = field(124, 12, "size");
  if (size < 0) throw refuse("has a negative size", "IMAGE_DAMAGED");
  const flag = String.fromCharCode(block[156]!);
  const isDevice = flag === "3" || flag === "4";
  return {
    flag,
    name: nameOf(block),
    link: text(block, 157, 257),
    mode: field(100, 8, "mode") & 0o7777,
    uid: field(108, 8, "owner"),
    gid: field(116, 8, "group"),
    size,
    mtimeSeconds: field(136, 12, "time"),
    major: isDevice ? field(329, 8, "device number") : 0,
    minor: isDevice ? field(337, 8, "device number") : 0,
  };
}

/** The prefix of the name has another length in star, and GNU keeps other things there. */
function nameOf(block: Uint8Array): ByteString {
  const name = text(block, 0, 100);
  if (byteString(block, 257, 263) !== "ustar\0") return name;
  const isStar = byteString(block, 508, 512) === "tar\0";
  const prefix = text(block, 345, isStar ? 476 : 500);
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** A field up to its first NUL. */
function text(block: Uint8Array, start: number, end: number): ByteString {
  const nul = block.indexOf(0, start);
  return byteString(block, start, nul < 0 ? end : Math.min(nul, end));
}

/** Some old writers summed signed bytes. */
function checksumHolds(block: Uint8Array): boolean {
  let unsigned = 0;
  let signed = 0;
  for (let at = 0; at < tarBlockBytes; at++) {
    const isOwn = at >= checksumField.start && at < checksumField.end;
    const byte = isOwn ? 0x20 : block[at]!;
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const told = parseNumber(block, checksumField.start, 8);
  return told === unsigned || told === signed;
}

/**
 * An octal field with spaces or NULs around it, or GNU's base-256 form, which is two's complement.
 *
 * @returns `undefined` when it is damaged or no safe integer
 */
export function parseNumber(block: Uint8Array, start: number, length: number): number | undefined {
  const end = start + length;
  const first = block[start]!;
  if ((first & 0x80) !== 0) {
    const isNegative = (first & 0x40) !== 0;
    let value = isNegative ? (first | ~0xff) : first & 0x7f;
    for (let at = start + 1; at < end; at++) value = value * 256 + block[at]!;
    return Number.isSafeInteger(value) ? value : undefined;
  }
  let at = start;
  while (at < end && isBlank(block[at]!)) at++;
  let value = 0;
  for (; at < end && !isBlank(block[at]!); at++) {
    const digit = block[at]! - 0x30;
    if (digit < 0 || digit > 7) return undefined;
    value = value * 8 + digit;
  }
  while (at < end && isBlank(block[at]!)) at++;
  return at === end ? value : undefined;
}

function isBlank(byte: number): boolean {
  return byte === 0 || byte === 0x20;
}
