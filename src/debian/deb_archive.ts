import { BangerError } from "../model/errors.ts";
import { streamProgram } from "../process/stream_program.ts";
import { arMembers } from "./ar_reader.ts";
import { ByteReader } from "./byte_reader.ts";
import { tarEntries, type TarEntry } from "./tar_reader.ts";

/** One thing that a Debian package would install. */
export interface DebEntry {
  readonly type: TarEntry["type"];
  /** Relative to `/`, checked: UTF-8, no `..`, no control characters, not absolute. */
  readonly path: string;
  /** Target of a symbolic link, unchecked. */
  readonly link: Uint8Array;
  readonly mode: number;
  readonly bytes: number;
  /** The content of a file, to be taken before the next entry is asked for. */
  content(): AsyncGenerator<Uint8Array>;
}

/** Bounds on reading one package. */
export interface DebOptions {
  /** Most bytes of its unpacked tar; 2 GiB when left out. */
  readonly maxUnpackedBytes?: number;
  readonly signal?: AbortSignal;
}

const defaultMaxUnpackedBytes = 2 * 1024 * 1024 * 1024;
const readBytes = 256 * 1024;

/** Programs that unpack a `data.tar` by its ending (deb(5)). */
const unpackers: Readonly<Record<string, readonly [string, ...string[]] | null>> = {
  "data.tar": null,
  "data.tar.xz": ["xz", "-dc"],
  "data.tar.zst": ["zstd", "-dc"],
  "data.tar.gz": ["gzip", "-dc"],
};

/**
 * Walks what the package in the file `path` would install, without unpacking anything: the
 * consumer picks entries and writes them where it wants.
 *
 * @throws BangerError `untrusted` when the package is damaged, cut off or has an unsafe name
 */
export async function* debEntries(
  path: string,
  options: DebOptions = {},
): AsyncGenerator<DebEntry> {
  const label = path.slice(path.lastIndexOf("/") + 1);
  using file = await Deno.open(path, { read: true });
  const reader = new ByteReader(fileChunks(file));
  for await (const member of arMembers(reader, label)) {
    if (!member.name.startsWith("data.tar")) continue;
    const unpacker = unpackers[member.name];
    if (unpacker === undefined) {
      throw new BangerError(
        "untrusted",
        `Cannot read package "${label}": its member "${member.name}" has an unknown form`,
      );
    }
    const packed = limited(reader, member.bytes);
    const plain = unpacker === null
      ? packed
      : streamProgram(unpacker[0], unpacker.slice(1), packed, {
        maxStdoutBytes: options.maxUnpackedBytes ?? defaultMaxUnpackedBytes,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
    yield* dataEntries(new ByteReader(plain), label, options.signal);
    return;
  }
  throw new BangerError("untrusted", `Cannot read package "${label}": it has no data.tar`);
}

async function* dataEntries(
  reader: ByteReader,
  label: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<DebEntry> {
  try {
    for await (const entry of tarEntries(reader, label)) {
      signal?.throwIfAborted();
      const path = safePath(entry.name);
      if (path === undefined) {
        const name = JSON.stringify(new TextDecoder().decode(entry.name.slice(0, 200)));
        throw new BangerError("untrusted", `Cannot read package "${label}": unsafe name ${name}`);
      }
      if (path === "") continue;
      yield {
        type: entry.type,
        path,
        link: entry.link,
        mode: entry.mode,
        bytes: entry.bytes,
        content: () => limited(reader, entry.bytes),
      };
    }
    // What follows the end mark is padding; reading it lets the unpacker end by itself.
    while (await reader.some(readBytes) !== undefined);
  } finally {
    await reader.close();
  }
}

/**
 * A package's name as a path relative to `/` (empty for the root itself), or `undefined` when it
 * is absolute, leaves the tree, is not UTF-8 or has control characters.
 */
export function safePath(name: Uint8Array): string | undefined {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(name);
  } catch {
    return undefined;
  }
  // deno-lint-ignore no-control-regex -- these are what is refused
  if (text === "" || text.startsWith("/") || /[\u0000-\u001f\u007f]/.test(text)) return undefined;
  const parts = text.split("/").filter((part) => part !== "" && part !== ".");
  return parts.includes("..") ? undefined : parts.join("/");
}

async function* limited(reader: ByteReader, bytes: number): AsyncGenerator<Uint8Array> {
  let left = bytes;
  while (left > 0) {
    const piece = await reader.some(Math.min(left, readBytes));
    if (piece === undefined) return;
    left -= piece.length;
    yield piece;
  }
}

async function* fileChunks(file: Deno.FsFile): AsyncGenerator<Uint8Array> {
  for (;;) {
    const buffer = new Uint8Array(readBytes);
    const count = await file.read(buffer);
    if (count === null) return;
    yield buffer.subarray(0, count);
  }
}
