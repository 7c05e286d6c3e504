/** Small pieces are gathered in blocks of this size, so that 1-byte frames cost no more memory. */
const blockBytes = 8 * 1024;

/**
 * Received bytes of one channel that nobody has read yet. The sender's credit bounds how many; the
 * blocks bound what they cost.
 */
export class Inbox {
  #blocks: { readonly bytes: Uint8Array; fill: number }[] = [];
  #waiting:
    | { resolve(bytes: Uint8Array | null): void; reject(error: unknown): void }
    | null = null;
  #ended = false;
  #error: unknown = null;
  /** Bytes that may still come before the peer overruns its credit. */
  allowance: number;
  /** Bytes read since the last CREDIT frame was sent. */
  consumed = 0;

  constructor(allowance: number) {
    this.allowance = allowance;
  }

  /** Whether the peer said that nothing more comes. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Takes a copy of `bytes`. */
  put(bytes: Uint8Array): void {
    this.allowance -= bytes.length;
    const waiting = this.#waiting;
    if (waiting !== null) {
      this.#waiting = null;
      this.consumed += bytes.length;
      waiting.resolve(bytes.slice());
      return;
    }
    const last = this.#blocks.at(-1);
    if (last !== undefined && last.bytes.length - last.fill >= bytes.length) {
      last.bytes.set(bytes, last.fill);
      last.fill += bytes.length;
      return;
    }
    const block = new Uint8Array(Math.max(blockBytes, bytes.length));
    block.set(bytes);
    this.#blocks.push({ bytes: block, fill: bytes.length });
  }

  /** No more bytes come; those that are here can still be read. */
  end(): void {
    this.#ended = true;
    this.#waiting?.resolve(null);
    this.#waiting = null;
  }

  /** Reads fail from now on; bytes that are here are dropped. */
  fail(error: unknown): void {
    this.#error = error;
    this.#blocks = [];
    this.#waiting?.reject(error);
    this.#waiting = null;
  }

  /** The next bytes, `null` at the end. One call at a time. */
  take(): Promise<Uint8Array | null> {
    if (this.#error !== null) return Promise.reject(this.#error);
    const block = this.#blocks.shift();
    if (block !== undefined) {
      this.consumed += block.fill;
      return Promise.resolve(block.bytes.subarray(0, block.fill));
    }
    if (this.#ended) return Promise.resolve(null);
    if (this.#waiting !== null) return Promise.reject(new Error("A read is pending already"));
    return new Promise((resolve, reject) => this.#waiting = { resolve, reject });
  }
}
