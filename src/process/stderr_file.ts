/** How much of a program's stderr is kept when its file is cut, and shown, in bytes. */
const keptBytes = 8 * 1024;
/** A file that grew beyond this is cut. */
const trimAboveBytes = 64 * 1024;

/** The file that takes a long-lived program's stderr: opened by it for appending, cut by us. */
export class StderrFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Makes it, or empties what an earlier run left; readable by its owner only. */
  async empty(): Promise<void> {
    await Deno.writeFile(this.#path, new Uint8Array(0), { mode: 0o600 });
  }

  /** The last 8 KiB, decoded; "" when the file is gone. */
  async readEnd(): Promise<string> {
    try {
      using file = await Deno.open(this.#path);
      const { size } = await file.stat();
      await file.seek(Math.max(0, size - keptBytes), Deno.SeekMode.Start);
      const bytes = new Uint8Array(keptBytes);
      let length = 0;
      while (length < bytes.length) {
        const count = await file.read(bytes.subarray(length));
        if (count === null) break;
        length += count;
      }
      return new TextDecoder().decode(bytes.subarray(0, length));
    } catch {
      return "";
    }
  }

  /**
   * Throws away what was written when it became too long. The program appends, so it goes on at the
   * new end.
   */
  async trim(): Promise<void> {
    try {
      const { size } = await Deno.stat(this.#path);
      if (size <= trimAboveBytes) return;
      const end = await this.readEnd();
      await Deno.truncate(this.#path, 0);
      await Deno.writeTextFile(this.#path, end, { append: true, create: false });
    } catch {
      // The VM's directory may be gone already.
    }
  }
}
