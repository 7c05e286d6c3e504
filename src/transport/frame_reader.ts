/** A line was longer than allowed; the stream cannot be read on. */
export class FrameTooLongError extends Error {
  override readonly name = "FrameTooLongError";
}

const newline = 0x0a;

/** Splits a stream of bytes into lines. Memory is bounded by the longest line allowed. */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #chunk = new Uint8Array(64 * 1024);
  /** What of `#chunk` is filled and not yet consumed. */
  #from = 0;
  #to = 0;
  /** Pieces of an unfinished line, copied. */
  #pieces: Uint8Array[] = [];
  #piecesBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether a further line, or a part of one, has been read already. */
  get hasBuffered(): boolean {
    return this.#from < this.#to;
  }

  /**
   * The next line without its end; only valid until the next call. `undefined` when it is not
   * complete yet.
   *
   * @throws FrameTooLongError
   */
  next(): Uint8Array | undefined {
    // What is behind `#to` is of earlier reads.
    const at = this.#from < this.#to ? this.#chunk.indexOf(newline, this.#from) : -1;
    const isWhole = at !== -1 && at < this.#to;
    const end = isWhole ? at : this.#to;
    if (this.#piecesBytes + (end - this.#from) > this.#maxBytes) {
      throw new FrameTooLongError(`the line is longer than ${this.#maxBytes} bytes`);
    }
    if (!isWhole) {
      if (this.hasBuffered) this.#keep();
      return undefined;
    }
    const last = this.#chunk.subarray(this.#from, end);
    this.#from = end + 1;
    if (this.#pieces.length === 0) return last;
    const line = concat([...this.#pieces, last], this.#piecesBytes + last.length);
    this.#pieces = [];
    this.#piecesBytes = 0;
    return line;
  }

  /** Where the next bytes are read to, once {@linkcode next} has given out all complete lines. */
  get space(): Uint8Array {
    return this.#chunk;
  }

  /** Takes over `length` bytes that were read to {@linkcode space}. */
  took(length: number): void {
    this.#from = 0;
    this.#to = length;
  }

  /** Everything that was read and not given out; the reader is empty afterwards. */
  takeRest(): Uint8Array {
    this.#keep();
    const rest = concat(this.#pieces, this.#piecesBytes);
    this.#pieces = [];
    this.#piecesBytes = 0;
    return rest;
  }

  #keep(): void {
    const piece = this.#chunk.slice(this.#from, this.#to);
    this.#pieces.push(piece);
    this.#piecesBytes += piece.length;
    this.#from = this.#to;
  }
}

function concat(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
