/** Reads a stream of chunks in pieces of chosen length, without copying more than it must. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);
  #offset = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  /** Bytes consumed so far. */
  get offset(): number {
    return this.#offset;
  }

  /** Up to `maxBytes` of what comes next, at least one; `undefined` at the end. */
  async some(maxBytes: number): Promise<Uint8Array | undefined> {
    while (this.#rest.length === 0) {
      const next = await this.#chunks.next();
      if (next.done === true) return undefined;
      this.#rest = next.value;
    }
    const piece = this.#rest.subarray(0, maxBytes);
    this.#rest = this.#rest.subarray(piece.length);
    this.#offset += piece.length;
    return piece;
  }

  /** Exactly `bytes`, or fewer when the stream ends first. */
  async upTo(bytes: number): Promise<Uint8Array> {
    const all = new Uint8Array(bytes);
    let filled = 0;
    while (filled < bytes) {
      const piece = await this.some(bytes - filled);
      if (piece === undefined) return all.subarray(0, filled);
      all.set(piece, filled);
      filled += piece.length;
    }
    return all;
  }

  /** Drops `bytes`; answers how many there were. */
  async skip(bytes: number): Promise<number> {
    let skipped = 0;
    while (skipped < bytes) {
      const piece = await this.some(bytes - skipped);
      if (piece === undefined) break;
      skipped += piece.length;
    }
    return skipped;
  }

  /** Ends the source early. */
  async close(): Promise<void> {
    this.#rest = new Uint8Array(0);
    await this.#chunks.return?.();
  }
}
