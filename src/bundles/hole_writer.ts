import { grainBytes, isZeroGrain } from "./grains.ts";

/**
 * Writes a new file of which only what is not zero takes space. The file has its full size from the
 * start; what is not written, and runs of zeros in what is, stay holes.
 */
export class HoleWriter implements Disposable {
  readonly #file: Deno.FsFile;
  #position = 0;

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /** Makes the new file `path` (0600). */
  static async create(path: string, size: number): Promise<HoleWriter> {
    const file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
    try {
      await file.truncate(size);
      return new HoleWriter(file);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Writes `chunk` at `offset`, in one call for each run of grains that are not zero. */
  async writeAt(chunk: Uint8Array, offset: number): Promise<void> {
    let start = 0;
    while (start < chunk.length) {
      const first = this.#grain(chunk, start, offset);
      if (isZeroGrain(first)) {
        start += first.length;
        continue;
      }
      let end = start + first.length;
      while (end < chunk.length) {
        const grain = this.#grain(chunk, end, offset);
        if (isZeroGrain(grain)) break;
        end += grain.length;
      }
      await this.#writeRun(chunk.subarray(start, end), offset + start);
      start = end;
    }
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  /** From `start` to the next border between grains of the file. */
  #grain(chunk: Uint8Array, start: number, offset: number): Uint8Array {
    const untilBorder = grainBytes - ((offset + start) % grainBytes);
    return chunk.subarray(start, start + untilBorder);
  }

  async #writeRun(run: Uint8Array, offset: number): Promise<void> {
    if (this.#position !== offset) this.#file.seekSync(offset, Deno.SeekMode.Start);
    this.#position = offset;
    for (let at = 0; at < run.length;) {
      const count = await this.#file.write(run.subarray(at));
      this.#position += count;
      at += count;
    }
  }
}
