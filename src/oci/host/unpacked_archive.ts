import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { BangerError } from "../../model/errors.ts";
import { archiveName, type LocalBytes } from "../local_bytes.ts";

/** How an archive is uncompressed. */
export interface UnpackOptions {
  /** Where the uncompressed archive is put, in a file without a name. */
  readonly tempDir: string;
  /** Longest that it may become; what an image may have when left out. */
  readonly maxBytes?: number;
  readonly signal: AbortSignal;
  /** Bytes of the file that are read. */
  readonly onProgress?: (bytes: number) => void;
}

/** An archive that was uncompressed; its bytes are gone when it is disposed of. */
export type UnpackedArchive = LocalBytes & Disposable;

const readBytes = 1024 ** 2;
const usualMaxBytes = 128 * 1024 ** 3;

/** Whether a regular file starts as gzip does. */
export async function isGzipFile(path: string): Promise<boolean> {
  try {
    if (!(await Deno.stat(path)).isFile) return false;
    using file = await Deno.open(path, { read: true });
    const start = new Uint8Array(3);
    const count = await file.read(start);
    return count === 3 && start[0] === 0x1f && start[1] === 0x8b && start[2] === 8;
  } catch {
    // Whoever reads it next tells why it cannot be read.
    return false;
  }
}

/**
 * Uncompresses an archive that was piped through gzip. It has to be looked at in any order, so it is
 * put into a temporary file, whose name is removed before it has any content: nothing is left however
 * this process ends.
 *
 * @throws BangerError `untrusted` when it is damaged, `exhausted` beyond the limit or when the disk is full
 */
export async function unpackArchive(
  path: string,
  { tempDir, maxBytes = usualMaxBytes, signal, onProgress }: UnpackOptions,
): Promise<UnpackedArchive> {
  const temporary = await Deno.makeTempFile({ dir: tempDir, prefix: "banger-archive-" });
  let file: Deno.FsFile;
  try {
    file = await Deno.open(temporary, { read: true, write: true });
  } finally {
    await Deno.remove(temporary);
  }
  let size = 0;
  let written: unknown;
  try {
    const source = createReadStream(path, { highWaterMark: readBytes });
    await pipeline(source, createGunzip({ chunkSize: readBytes }), async (chunks) => {
      try {
        for await (const chunk of chunks as AsyncIterable<Uint8Array>) {
          size += chunk.length;
          if (size > maxBytes) throw new TooLarge();
          for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
          onProgress?.(source.bytesRead);
        }
      } catch (error) {
        // The pipeline may tell only that it ended early.
        written ??= error;
        throw error;
      }
    }, { signal });
    return new OpenArchive(file, size);
  } catch (cause) {
    file.close();
    signal.throwIfAborted();
    throw failure(path, tempDir, written ?? cause);
  }
}

class TooLarge extends Error {}

function failure(path: string, tempDir: string, cause: unknown): BangerError {
  const what = `Cannot uncompress "${path}"`;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (cause instanceof TooLarge) {
    return new BangerError("exhausted", `${what}: it becomes larger than an image may be`, {
      code: "IMAGE_LIMIT",
      hint: "Nothing that is usual needs as much: check what this archive is",
    });
  }
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new BangerError("exhausted", `${what}: the disk of "${tempDir}" is full`, {
      code: "NO_SPACE",
      hint: "Free space there, or set TMPDIR to a directory on a larger disk",
      cause,
    });
  }
  return new BangerError("untrusted", `${what}: it is damaged or cut off`, {
    code: "BAD_ARCHIVE",
    hint: "gunzip -t tells whether it is whole",
    cause,
  });
}

/** Reads of a file without a name, one after the other, since they share its position. */
class OpenArchive implements UnpackedArchive {
  readonly #file: Deno.FsFile;
  readonly #size: number;
  #last: Promise<unknown> = Promise.resolve();

  constructor(file: Deno.FsFile, size: number) {
    this.#file = file;
    this.#size = size;
  }

  size(name: string): Promise<number | undefined> {
    return Promise.resolve(name === archiveName ? this.#size : undefined);
  }

  async *read(
    name: string,
    { offset, length }: { readonly offset: number; readonly length: number },
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    if (name !== archiveName) return;
    const buffer = new Uint8Array(Math.min(readBytes, Math.max(1, length)));
    for (let at = offset, left = length; left > 0;) {
      signal.throwIfAborted();
      const count = await this.#readAt(at, buffer.subarray(0, Math.min(left, buffer.length)));
      if (count === null) return;
      at += count;
      left -= count;
      yield buffer.subarray(0, count);
    }
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  #readAt(at: number, buffer: Uint8Array): Promise<number | null> {
    const read = this.#last.then(async () => {
      await this.#file.seek(at, Deno.SeekMode.Start);
      return await this.#file.read(buffer);
    });
    this.#last = read.catch(() => {});
    return read;
  }
}
