import { ByteReader } from "../debian/byte_reader.ts";
import { tarEntries } from "../debian/tar_reader.ts";
import { isBangerError } from "../model/errors.ts";
import { archiveName, type LocalBytes } from "./local_bytes.ts";
import { pullError, type PullSubject } from "./oci_error.ts";

type Member =
  | { readonly kind: "file"; readonly offset: number; readonly bytes: number }
  | { readonly kind: "link"; readonly target: string };

const maxMembers = 100_000;
const maxLinks = 8;
/** Read at once for headers; most of a member's header and padding is in one piece. */
const headerBytes = 4096;
const compressedMagic: readonly (readonly number[])[] = [
  [0x1f, 0x8b],
  [0x28, 0xb5, 0x2f, 0xfd],
  [0xfd, 0x37, 0x7a, 0x58, 0x5a],
  [0x42, 0x5a, 0x68],
];

/**
 * The regular files in the tar archive `archive` of a {@linkcode LocalBytes}, by their names in it.
 * Only headers are read for that; contents are read in place. Links lead to other members and
 * nowhere else; of two members of one name the later one counts, as for tar.
 *
 * @throws BangerError `untrusted` when it is no sound tar, `exhausted` when it has too many members
 */
export async function tarMembers(
  files: LocalBytes,
  subject: PullSubject,
  signal: AbortSignal,
): Promise<LocalBytes> {
  const size = await files.size(archiveName, signal);
  if (size === undefined) {
    throw pullError(subject, "not_found", "there is no such file", { hint: "Check its path" });
  }
  const reader = new SeekingReader(files, size, signal);
  await checkNotCompressed(reader, subject);
  const members = new Map<string, Member>();
  let count = 0;
  try {
    for await (const entry of tarEntries(reader, subject.label)) {
      if (++count > maxMembers) {
        const state = `its archive has over ${maxMembers} members`;
        throw pullError(subject, "exhausted", state, { code: "IMAGE_LIMIT" });
      }
      const name = normal(textOf(entry.name));
      if (name === undefined) continue;
      members.delete(name);
      if (entry.type === "file") {
        const { offset } = reader;
        if (offset + entry.bytes > size) {
          throw pullError(subject, "untrusted", "its archive is cut off", { code: "BAD_ARCHIVE" });
        }
        members.set(name, { kind: "file", offset, bytes: entry.bytes });
      } else if (entry.type === "symlink" || entry.type === "hardlink") {
        const link = textOf(entry.link);
        const from = entry.type === "symlink" ? name.slice(0, name.lastIndexOf("/") + 1) : "";
        const target = link?.startsWith("/") ? undefined : normal(`${from}${link}`);
        if (target !== undefined) members.set(name, { kind: "link", target });
      }
    }
  } catch (error) {
    if (!isBangerError(error, "untrusted") || error.code !== undefined) throw error;
    throw pullError(subject, "untrusted", "its archive is damaged or no tar", {
      code: "BAD_ARCHIVE",
      cause: error,
      detail: error.message,
    });
  }
  return new TarMembers(files, members);
}

class TarMembers implements LocalBytes {
  readonly #files: LocalBytes;
  readonly #members: ReadonlyMap<string, Member>;

  constructor(files: LocalBytes, members: ReadonlyMap<string, Member>) {
    this.#files = files;
    this.#members = members;
  }

  size(name: string): Promise<number | undefined> {
    return Promise.resolve(this.#find(name)?.bytes);
  }

  async *read(
    name: string,
    { offset, length }: { readonly offset: number; readonly length: number },
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const member = this.#find(name);
    if (member === undefined) return;
    const range = {
      offset: member.offset + offset,
      length: Math.max(0, Math.min(length, member.bytes - offset)),
    };
    yield* this.#files.read(archiveName, range, signal);
  }

  #find(name: string): { readonly offset: number; readonly bytes: number } | undefined {
    let member = this.#members.get(name);
    for (let links = 0; member?.kind === "link" && links < maxLinks; links++) {
      member = this.#members.get(member.target);
    }
    return member?.kind === "file" ? member : undefined;
  }
}

/** A reader that skips by not reading. */
class SeekingReader extends ByteReader {
  readonly #files: LocalBytes;
  readonly #size: number;
  readonly #signal: AbortSignal;
  #at = 0;
  #piece: Uint8Array = new Uint8Array(0);

  constructor(files: LocalBytes, size: number, signal: AbortSignal) {
    super(nothing());
    this.#files = files;
    this.#size = size;
    this.#signal = signal;
  }

  override get offset(): number {
    return this.#at;
  }

  override async some(maxBytes: number): Promise<Uint8Array | undefined> {
    if (this.#piece.length === 0) {
      const length = Math.min(headerBytes, this.#size - this.#at);
      if (length <= 0) return undefined;
      for await (
        const chunk of this.#files.read(archiveName, { offset: this.#at, length }, this.#signal)
      ) {
        this.#piece = chunk.slice();
        break;
      }
      if (this.#piece.length === 0) return undefined;
    }
    const some = this.#piece.subarray(0, maxBytes);
    this.#piece = this.#piece.subarray(some.length);
    this.#at += some.length;
    return some;
  }

  override skip(bytes: number): Promise<number> {
    const skipped = Math.min(bytes, this.#size - this.#at);
    this.#piece = this.#piece.subarray(Math.min(skipped, this.#piece.length));
    this.#at += skipped;
    return Promise.resolve(skipped);
  }

  /** Looks at what comes next. */
  async peek(): Promise<Uint8Array> {
    const [at, first] = [this.#at, await this.some(headerBytes)];
    this.#at = at;
    this.#piece = first ?? this.#piece;
    return this.#piece;
  }
}

async function checkNotCompressed(reader: SeekingReader, subject: PullSubject): Promise<void> {
  const start = await reader.peek();
  if (!compressedMagic.some((magic) => magic.every((byte, at) => start[at] === byte))) return;
  throw pullError(subject, "precondition", "its archive is compressed", {
    code: "BAD_ARCHIVE",
    hint: "Only gzip is uncompressed here: unzstd or unxz it first",
  });
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** A member's name without `.` and `..`; `undefined` for one that leads out of the archive. */
function normal(name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.length === 0 ? undefined : parts.join("/");
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
