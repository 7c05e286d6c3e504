/** Unit of a tar archive, in bytes. */
export const blockBytes = 512;

/** What stands at the end of an archive: two blocks of zeros. */
export const endMarkBytes = 2 * blockBytes;

/** What a header tells. */
export interface HeaderContent {
  readonly name: string;
  /** Bytes of it in the archive. */
  readonly storedSize: number;
  /** Its size once unpacked when it is stored with a map of its data, else `null`. */
  readonly sparseSize: number | null;
}

/** Largest size that the octal field of a header holds. */
const maxOctalSize = 0o77777777777;

/**
 * The one form that the headers of a member have in a bundle: a ustar header (POSIX.1-2017 pax,
 * "ustar Interchange Format") of a regular file with mode 0644, owner, group and time 0; before it,
 * for a sparse member, a pax header with GNU tar's records (GNU tar manual, "PAX Format, Versions
 * 1.0"), and for one of 8 GiB and more its size.
 */
export function memberHeaders({ name, storedSize, sparseSize }: HeaderContent): Uint8Array {
  const records = [
    ...(sparseSize === null ? [] : [
      record("GNU.sparse.major", "1"),
      record("GNU.sparse.minor", "0"),
      record("GNU.sparse.name", name),
      record("GNU.sparse.realsize", String(sparseSize)),
    ]),
    ...(storedSize <= maxOctalSize ? [] : [record("size", String(storedSize))]),
  ].join("");
  const own = header(sparseSize === null ? name : `GNUSparseFile.0/${name}`, "0", storedSize);
  if (records === "") return own;
  const content = new TextEncoder().encode(records);
  const start = 2 * blockBytes;
  const all = new Uint8Array(start - blockBytes + paddedBytes(content.length) + blockBytes);
  all.set(header(`PaxHeaders/${name}`, "x", content.length));
  all.set(content, blockBytes);
  all.set(own, all.length - blockBytes);
  return all;
}

/** `bytes`, rounded up to whole blocks. */
export function paddedBytes(bytes: number): number {
  return Math.ceil(bytes / blockBytes) * blockBytes;
}

/** A pax record, which begins with its own length. */
function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (`${length}${rest}`.length !== length) length = `${length}${rest}`.length;
  return `${length}${rest}`;
}

function header(name: string, type: string, size: number): Uint8Array {
  const block = new Uint8Array(blockBytes);
  const put = (text: string, at: number) => block.set(new TextEncoder().encode(text), at);
  put(name, 0);
  put("0000644\0", 100);
  put("0000000\0", 108);
  put("0000000\0", 116);
  put(`${(size <= maxOctalSize ? size : 0).toString(8).padStart(11, "0")}\0`, 124);
  put("00000000000\0", 136);
  put(" ".repeat(8), 148);
  put(type, 156);
  put("ustar\0" + "00", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}
