import type { ByteLink } from "./byte_link.ts";

/** A line was longer than allowed; the stream cannot be read on. */
export class FrameTooLongError extends Error {
  override readonly name = "FrameTooLongError";
}

const newline = 0x0a;

/** Splits a stream of bytes into lines. Memory is bounded by the longest line allowed. */
export class FrameReader {
  readonly #link: ByteLink;
  readonly #maxBytes: number;
  readonly #chunk = new Uint8Array(64 * 1024);
  /** What of `#chunk` is filled and not yet consumed. */
  #from = 0;
  #to = 0;
  /** Pieces of an unfinished line, copied. */
  #pieces: Uint8Array[] = [];
  #piecesBytes = 0;

  constructor(link: ByteLink, maxBytes: number) {
    this.#link = link;
    this.#maxBytes = maxBytes;
  }

  /** Whether a further line, or a part of one, has been read already. */
  get hasBuffered(): boolean {
    return this.#from < this.#to;
  }

  /**
   * The next line without its end; only valid until the next call. `undefined` when it is not
   * complete yet: call {@linkcode fill}.
   *
   * @throws FrameTooLongError
   */
  next(): Uint8Array | undefined {
    const at = this.#chunk.subarray(this.#from, this.#to).indexOf(newline);
    const end = at === -1 ? this.#to : this.#from + at;
    if (this.#piecesBytes + (end - this.#from) > this.#maxBytes) {
      throw new FrameTooLongError(`the line is longer than ${this.#maxBytes} bytes`);
    }
    if (at === -1) {
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

  /** Reads more from the link; false at its end. */
  async fill(): Promise<boolean> {
    const n = await this.#link.read(this.#chunk);
    this.#from = 0;
    this.#to = n ?? 0;
    return n !== null;
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
