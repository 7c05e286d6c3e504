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
    const current = await readFileEnd(this.#current, maxBytes);
    if (current.length >= maxBytes) return current;
    const old = await readFileEnd(this.#old, maxBytes - current.length);
    const both = new Uint8Array(old.length + current.length);
    both.set(old);
    both.set(current, old.length);
    return both;
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
    const file = await Deno.open(this.#current, { append: true, create: true, mode: 0o600 });
    this.#file = file;
    this.#size = (await file.stat()).size;
    return this.#size < this.#segmentBytes ? file : await this.#openForAppending();
  }
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  let at = 0;
  while (at < bytes.length) at += await file.write(bytes.subarray(at));
}

async function readFileEnd(path: string, maxBytes: number): Promise<Uint8Array> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return new Uint8Array(0);
    throw cause;
  }
  using _closing = file;
  const { size } = await file.stat();
  await file.seek(Math.max(0, size - maxBytes), Deno.SeekMode.Start);
  const bytes = new Uint8Array(Math.min(size, maxBytes));
  let length = 0;
  while (length < bytes.length) {
    const count = await file.read(bytes.subarray(length));
    if (count === null) break;
    length += count;
  }
  return bytes.subarray(0, length);
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  }
}
