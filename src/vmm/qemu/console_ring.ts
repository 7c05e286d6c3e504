import { removeIfThere } from "../../files/remove_if_there.ts";

/** Longest segment, in bytes; two are kept. */
export const consoleSegmentBytes = 2 * 1024 * 1024;

/**
 * The last output of a VM's serial console, on disk: at most 4 MiB in two files that any process can
 * read at any time. `console.log` grows to its limit, then becomes `console.old` and a new one is
 * begun. It has no state besides, so a restarted daemon goes on where the last one stopped.
 */
export class ConsoleRing {
  readonly #dir: string;
  readonly #segmentBytes: number;
  #file: Deno.FsFile | undefined;
  #size = 0;

  /** `dir` is the VM's private directory. */
  constructor(dir: string, segmentBytes: number = consoleSegmentBytes) {
    this.#dir = dir;
    this.#segmentBytes = segmentBytes;
  }

  /** Forgets what earlier starts of the VM printed. */
  async clear(): Promise<void> {
    this.close();
    await Promise.all([this.#current, this.#old].map(removeIfThere));
  }

  /** Adds `bytes` at the end. One writer at a time. */
  async append(bytes: Uint8Array): Promise<void> {
    let rest = bytes.subarray(Math.max(0, bytes.length - 2 * this.#segmentBytes));
    while (rest.length > 0) {
      const file = await this.#openForAppending();
      const part = rest.subarray(0, this.#segmentBytes - this.#size);
      await writeAll(file, part);
      this.#size += part.length;
      rest = rest.subarray(part.length);
    }
  }

  /** The last bytes, at most `maxBytes`. */
  async readEnd(maxBytes: number): Promise<Uint8Array> {
    return (await this.readAfter(null, maxBytes)).bytes;
  }

  /**
   * What came after `position`, at most `maxBytes` of its end, and where that ends. With `null`, or a
   * position that is no longer kept, all that is kept.
   */
  async readAfter(position: string | null, maxBytes: number): Promise<ConsolePart> {
    for (;;) {
      const [old, current] = [await identityOf(this.#old), await identityOf(this.#current)];
      const from = parsePosition(position);
      const isIn = (file: Segment | undefined) =>
        file !== undefined && file.name === from?.file && from.offset <= file.size;
      let start = isIn(current) ? from!.offset : 0;
      const oldStart = isIn(old) ? from!.offset : 0;
      const end = current?.size ?? 0;
      start = Math.max(start, end - maxBytes);
      const room = maxBytes - (end - start);
      const parts = [await readRange(this.#current, start, end)];
      if (old !== undefined && !isIn(current) && room > 0) {
        parts.unshift(await readRange(this.#old, Math.max(oldStart, old.size - room), old.size));
      }
      // A segment that was put away meanwhile has been read under the wrong name.
      if ((await identityOf(this.#current))?.name !== current?.name) continue;
      return {
        bytes: new Uint8Array(await new Blob(parts).arrayBuffer()),
        position: current === undefined ? position : `${current.name}:${current.size}`,
      };
    }
  }

  /** Closes the file; the next append opens it again. */
  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  get #current(): string {
    return `${this.#dir}/console.log`;
  }

  get #old(): string {
    return `${this.#dir}/console.old`;
  }

  async #openForAppending(): Promise<Deno.FsFile> {
    if (this.#file !== undefined && this.#size >= this.#segmentBytes) {
      this.close();
      await Deno.rename(this.#current, this.#old);
    }
    if (this.#file !== undefined) return this.#file;
    // In this thread: through another one it takes ten times as long, once for each VM that is taken over.
    const file = Deno.openSync(this.#current, { append: true, create: true, mode: 0o600 });
    this.#file = file;
    this.#size = file.statSync().size;
    return this.#size < this.#segmentBytes ? file : await this.#openForAppending();
  }
}

/** A part of the console, and where it ends. */
export interface ConsolePart {
  readonly bytes: Uint8Array;
  /** For the next call; `null` before anything was printed. Means nothing to anybody else. */
  readonly position: string | null;
}

/** A position names the file by its inode, which stays when it is renamed, and the bytes before it. */
function parsePosition(
  position: string | null,
): { readonly file: string; readonly offset: number } | undefined {
  const match = /^([0-9]{1,20}):([0-9]{1,12})$/.exec(position ?? "");
  return match === null ? undefined : { file: match[1]!, offset: Number(match[2]) };
}

/** One of the two files. */
interface Segment {
  /** Its inode, which stays when it is renamed. */
  readonly name: string;
  readonly size: number;
}

async function identityOf(path: string): Promise<Segment | undefined> {
  try {
    const { ino, size } = await Deno.stat(path);
    return { name: String(ino ?? 0), size };
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return undefined;
    throw cause;
  }
}

/** The bytes from `from` to `to`; fewer when the file has gone or has become shorter. */
async function readRange(
  path: string,
  from: number,
  to: number,
): Promise<Uint8Array<ArrayBuffer>> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return new Uint8Array(0);
    throw cause;
  }
  using _closing = file;
  await file.seek(from, Deno.SeekMode.Start);
  const bytes = new Uint8Array(Math.max(0, to - from));
  let length = 0;
  while (length < bytes.length) {
    const count = await file.read(bytes.subarray(length));
    if (count === null) break;
    length += count;
  }
  return bytes.subarray(0, length);
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  let at = 0;
  while (at < bytes.length) at += await file.write(bytes.subarray(at));
}
