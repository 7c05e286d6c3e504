/**
 * Cuts a stream of bytes into lines.
 *
 * Feed it chunks of any size; it never keeps more than `maxLineBytes`.
 */
export class LineReader {
  readonly #maxLineBytes: number;
  readonly #decoder = new TextDecoder();
  #pending = new Uint8Array(0);

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
  }

  /**
   * The lines that `chunk` completes, without their line ends.
   * @throws RangeError when a line is longer than allowed
   */
  push(chunk: Uint8Array): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const line = this.#joined(chunk.subarray(start, end));
      this.#pending = new Uint8Array(0);
      lines.push(this.#decoder.decode(line).replace(/\r$/, ""));
      start = end + 1;
    }
    this.#pending = this.#joined(chunk.subarray(start)).slice();
    return lines;
  }

  #joined(rest: Uint8Array): Uint8Array {
    const length = this.#pending.length + rest.length;
    if (length > this.#maxLineBytes) {
      throw new RangeError(`a line of more than ${this.#maxLineBytes} bytes`);
    }
    if (this.#pending.length === 0) return rest;
    const line = new Uint8Array(length);
    line.set(this.#pending);
    line.set(rest, this.#pending.length);
    return line;
  }
}
