const blockBytes = 512;
const encoder = new TextEncoder();

/** An entry of a tar archive. */
export interface TarEntry {
  /** Path below the archive's root; directories without a slash at the end. */
  readonly name: Uint8Array;
  readonly kind: "file" | "dir";
  readonly size: number;
  readonly mode: number;
  /** Seconds since the epoch. */
  readonly mtimeS: number;
}

/**
 * The header blocks of an entry owned by root: GNU format, a name of more than 100 bytes in a `L`
 * entry before it (tar(5), GNU tar's manual).
 */
export function tarHeader(entry: TarEntry): Uint8Array {
  if (entry.name.length <= 100) return block(entry, entry.name, entry.kind === "dir" ? "5" : "0");
  const padded = new Uint8Array(Math.ceil((entry.name.length + 1) / blockBytes) * blockBytes);
  padded.set(entry.name);
  const long = { ...entry, size: entry.name.length + 1, mode: 0o644, mtimeS: 0 };
  const all = new Uint8Array(padded.length + 2 * blockBytes);
  all.set(block(long, encoder.encode("././@LongLink"), "L"));
  all.set(padded, blockBytes);
  const cut = entry.name.subarray(0, 100);
  all.set(block(entry, cut, entry.kind === "dir" ? "5" : "0"), blockBytes + padded.length);
  return all;
}

/** Zero bytes that fill a file of `size` bytes up to whole blocks. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array((blockBytes - (size % blockBytes)) % blockBytes);
}

/** The two empty blocks at the end of an archive. */
export function tarEnd(): Uint8Array {
  return new Uint8Array(2 * blockBytes);
}

function block(entry: TarEntry, name: Uint8Array, type: string): Uint8Array {
  const header = new Uint8Array(blockBytes);
  header.set(name, 0);
  octal(header, 100, 8, entry.mode);
  octal(header, 108, 8, 0);
  octal(header, 116, 8, 0);
  number(header, 124, entry.size);
  number(header, 136, Math.max(0, entry.mtimeS));
  header.fill(0x20, 148, 156);
  header[156] = type.charCodeAt(0);
  header.set(encoder.encode("ustar  \0"), 257);
  octal(header, 148, 7, header.reduce((sum, byte) => sum + byte, 0));
  return header;
}

/** `width` includes the NUL at the end. */
function octal(header: Uint8Array, at: number, width: number, value: number): void {
  header.set(encoder.encode(value.toString(8).padStart(width - 1, "0")), at);
  header[at + width - 1] = 0;
}

/** A 12-byte number: octal, or base 256 from 8 GiB on (GNU). */
function number(header: Uint8Array, at: number, value: number): void {
  if (value < 8 ** 11) {
    octal(header, at, 12, value);
    return;
  }
  header[at] = 0x80;
  let rest = BigInt(value);
  for (let index = 11; index > 0; index--) {
    header[at + index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
}
