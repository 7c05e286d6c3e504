import type { LineSink } from "./log.ts";

/** Where the log is kept and how large it may grow. */
export interface FileSinkOptions {
  readonly path: string;
  /** Size at which the file becomes `PATH.1`, replacing the one before. 2 MiB when left out. */
  readonly maxBytes?: number;
}

/**
 * A sink that appends to a file (0600) and keeps at most two files of `maxBytes`. When the disk is
 * full lines are lost, the daemon goes on.
 */
export class FileSink implements Disposable {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #encoder = new TextEncoder();
  #file: Deno.FsFile | undefined;
  #size = 0;

  constructor(options: FileSinkOptions) {
    this.#path = options.path;
    this.#maxBytes = options.maxBytes ?? 2 * 1024 ** 2;
  }

  readonly write: LineSink = (line) => {
    try {
      const bytes = this.#encoder.encode(`${line}\n`);
      this.#open();
      if (this.#size + bytes.length > this.#maxBytes && this.#size > 0) this.#rotate();
      let written = 0;
      while (written < bytes.length) {
        written += this.#file?.writeSync(bytes.subarray(written)) ?? bytes.length;
      }
      this.#size += bytes.length;
    } catch {
      // There is no better place to tell it; the next line tries again.
      this[Symbol.dispose]();
    }
  };

  [Symbol.dispose](): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #open(): void {
    if (this.#file !== undefined) return;
    this.#file = Deno.openSync(this.#path, { append: true, create: true, mode: 0o600 });
    this.#size = this.#file.statSync().size;
  }

  #rotate(): void {
    this[Symbol.dispose]();
    Deno.renameSync(this.#path, `${this.#path}.1`);
    this.#open();
  }
}
