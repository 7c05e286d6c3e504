import { BangerError, reasonOf } from "../model/errors.ts";

/** What writes at a place in a file. */
export interface ImageSink {
  /** Writes all of `bytes` at `offset`. */
  writeAt(bytes: Uint8Array, offset: number): void;
}

/** Thrown by {@linkcode ImageFile} when its disk is full has this code. */
const noSpace = /ENOSPC|EDQUOT|No space left|quota exceeded|os error (28|122)\b/i;

/**
 * The image as a file. Blocks that are never written stay holes. Writes are synchronous: the data
 * goes to the page cache, and one call per entry that waits for the event loop costs more.
 */
export class ImageFile implements ImageSink, Disposable {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  #position = 0;

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  /** Makes the file, which must not exist, with `bytes` of hole. */
  static create(path: string, bytes: number): ImageFile {
    const file = new ImageFile(
      path,
      Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }),
    );
    try {
      file.#guarded(() => file.#file.truncateSync(bytes));
    } catch (error) {
      file[Symbol.dispose]();
      throw error;
    }
    return file;
  }

  /** @throws BangerError `exhausted` when the disk is full */
  writeAt(bytes: Uint8Array, offset: number): void {
    this.#guarded(() => {
      if (offset !== this.#position) this.#file.seekSync(offset, Deno.SeekMode.Start);
      this.#position = -1;
      let written = 0;
      while (written < bytes.length) written += this.#file.writeSync(bytes.subarray(written));
      this.#position = offset + written;
    });
  }

  /** Bytes that the file takes on the disk. */
  diskBytes(): number {
    return (this.#file.statSync().blocks ?? 0) * 512;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  #guarded(action: () => void): void {
    try {
      action();
    } catch (cause) {
      const why = reasonOf(cause);
      if (!noSpace.test(why)) throw cause;
      throw new BangerError("exhausted", `Cannot write image "${this.#path}": the disk is full`, {
        hint: "Free space there, or set XDG_STATE_HOME to a directory on a larger disk",
        code: "NO_SPACE",
        cause,
      });
    }
  }
}
