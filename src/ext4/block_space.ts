/** Blocks `start` up to, not including, `end`. */
export interface BlockRun {
  readonly start: number;
  readonly end: number;
}

const runBlocks = 32768;

/** Which blocks of the file system are taken: one bit a block, as in the bitmaps on disk. */
export class BlockSpace {
  readonly blockCount: number;
  readonly #bits: Uint8Array;
  #used = 0;

  constructor(blockCount: number) {
    this.blockCount = blockCount;
    this.#bits = new Uint8Array(Math.ceil(blockCount / 8));
  }

  get usedBlocks(): number {
    return this.#used;
  }

  /** The bits of `count` blocks from `start` on, a multiple of 8; the caller must not change them. */
  bitmap(start: number, count: number): Uint8Array {
    return this.#bits.subarray(start / 8, Math.ceil((start + count) / 8));
  }

  /** Takes blocks that are free. */
  take(start: number, count: number): void {
    this.#set(start, count, true);
    this.#used += count;
  }

  /** Gives back blocks that were taken. */
  release(start: number, count: number): void {
    this.#set(start, count, false);
    this.#used -= count;
  }

  /**
   * The first run of free blocks at or after `from` that has at least `atLeast` of them. It may go
   * on behind the end that is told: a search does not read the bits of a whole disk.
   */
  findRun(from: number, atLeast: number): BlockRun | undefined {
    for (let start = this.#next(from, false); start < this.blockCount;) {
      const end = this.#next(start, true, start + Math.max(atLeast, runBlocks));
      if (end - start >= atLeast) return { start, end };
      start = this.#next(end, false);
    }
    return undefined;
  }

  /** The first block from `from` to `limit` that is taken, or free; the limit when none is. */
  #next(from: number, taken: boolean, limit = this.blockCount): number {
    const skip = taken ? 0 : 0xff;
    const end = Math.min(limit, this.blockCount);
    let block = from;
    while (block < end) {
      if ((block & 7) === 0 && this.#bits[block >>> 3] === skip) block += 8;
      else if (((this.#bits[block >>> 3]! >>> (block & 7)) & 1) === (taken ? 1 : 0)) break;
      else block++;
    }
    return Math.min(block, end);
  }

  #set(start: number, count: number, taken: boolean): void {
    const end = start + count;
    let block = start;
    for (; block < end && (block & 7) !== 0; block++) this.#setOne(block, taken);
    const whole = (end - block) >>> 3;
    if (whole > 0) this.#bits.fill(taken ? 0xff : 0, block >>> 3, (block >>> 3) + whole);
    for (block += whole * 8; block < end; block++) this.#setOne(block, taken);
  }

  #setOne(block: number, taken: boolean): void {
    const bit = 1 << (block & 7);
    if (taken) this.#bits[block >>> 3]! |= bit;
    else this.#bits[block >>> 3]! &= ~bit;
  }
}
