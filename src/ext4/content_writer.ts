import { BangerError } from "../model/errors.ts";
import type { BlockRun, BlockSpace } from "./block_space.ts";
import { blockBytes, maxFileBytes } from "./format.ts";
import type { ImageSink } from "./image_file.ts";
import { type Content, type Extent, noContent } from "./inode.ts";
import { tooSmall } from "./layout.ts";

/** Blocks that are gathered before a write. */
const stagedBlocks = 256;
/** So many bytes in a row are written from where they are: a copy would cost more than the call it saves. */
const directBytes = 64 * 1024;
/** An extent holds no more. */
const maxExtentBlocks = 32768;
/** A shorter run of zero blocks inside a file is written: it costs less than another extent. */
const minHoleBlocks = 8;
/** How many runs that were freed a new file looks at, so that hostile layers cannot make it slow. */
const freedLookedAt = 64;

/**
 * Streams file contents into the image's free blocks, one file after the other: `begin`, `write` at
 * rising offsets, `end`. What is not written, and every long run of zero blocks, becomes a hole.
 *
 * Blocks that are released serve for the next file that fits. Nothing is ever read back.
 */
export class ContentWriter {
  readonly #space: BlockSpace;
  readonly #sink: ImageSink;

  readonly #staged = new Uint8Array(stagedBlocks * blockBytes);
  #stagedCount = 0;
  #stagedStart = 0;

  /** Where new blocks come from: up to the next one that is taken. */
  #next = 0;
  #end = 0;
  /** No block from here on was ever given out. */
  #fresh = 0;
  readonly #freed: BlockRun[] = [];
  /** The freed run that the current file is put into. */
  #reused: { next: number; readonly end: number } | undefined;

  #size = -1;
  #extents: Extent[] = [];
  readonly #partial = new Uint8Array(blockBytes);
  /** The block of the file that `#partial` holds; -1 when none. */
  #partialBlock = -1;

  constructor(space: BlockSpace, sink: ImageSink) {
    this.#space = space;
    this.#sink = sink;
  }

  /** @param size of the file in bytes, holes included */
  begin(size: number): void {
    if (this.#size >= 0) throw new Error("the file before was not ended");
    if (!Number.isSafeInteger(size) || size < 0 || size > maxFileBytes) {
      throw new BangerError("exhausted", `Cannot write a file of ${size} bytes: ext4 has a limit`);
    }
    this.#size = size;
    this.#extents = [];
    this.#reused = this.#freed.length === 0 ? undefined : this.#freedRunFor(size);
  }

  /** @param offset of `bytes` in the file; at or after the end of what was written before */
  write(bytes: Uint8Array, offset: number): void {
    if (offset + bytes.length > this.#size) throw new Error("more bytes than the file has");
    let at = 0;
    while (at < bytes.length) {
      const position = offset + at;
      const block = Math.floor(position / blockBytes);
      const within = position - block * blockBytes;
      const left = bytes.length - at;
      if (this.#partialBlock !== -1 && this.#partialBlock !== block) this.#putPartial();
      if (within === 0 && left >= blockBytes) {
        const whole = left - left % blockBytes;
        this.#putBlocks(block, bytes.subarray(at, at + whole));
        at += whole;
      } else {
        const part = bytes.subarray(at, at + Math.min(left, blockBytes - within));
        if (this.#partialBlock === -1) {
          this.#partial.fill(0);
          this.#partialBlock = block;
        }
        this.#partial.set(part, within);
        at += part.length;
        if (within + part.length === blockBytes) this.#putPartial();
      }
    }
  }

  /** Ends the file. */
  end(): Content {
    if (this.#size < 0) throw new Error("no file was begun");
    if (this.#partialBlock !== -1) this.#putPartial();
    const size = this.#size;
    const extents = this.#extents;
    this.#size = -1;
    for (const { physical, length } of extents) this.#space.take(physical, length);
    if (this.#reused !== undefined) {
      if (this.#reused.next < this.#reused.end) {
        this.#freed.push({ start: this.#reused.next, end: this.#reused.end });
      }
      this.#reused = undefined;
    }
    return size === 0 ? noContent : { size, extents };
  }

  /** Writes a whole content of blocks that stay as they are: a directory, a long link's target. */
  putAll(bytes: Uint8Array): Content {
    this.begin(bytes.length);
    this.write(bytes, 0);
    return this.end();
  }

  /** Takes one block and tells which. Its content is the caller's to write, with `putBlock`. */
  takeBlock(): number {
    const { start } = this.#nextRun(1);
    this.#space.take(start, 1);
    return start;
  }

  /** Writes the block `block`, which was taken. */
  putBlock(block: number, bytes: Uint8Array): void {
    this.#stage(block, bytes);
  }

  /** Gives back the blocks of a content that no file has any more. */
  release(content: Content): void {
    for (const { physical, length } of content.extents) {
      this.#space.release(physical, length);
      this.#freed.push({ start: physical, end: physical + length });
    }
  }

  /** Writes what is gathered. */
  flush(): void {
    if (this.#stagedCount === 0) return;
    const bytes = this.#staged.subarray(0, this.#stagedCount * blockBytes);
    this.#sink.writeAt(bytes, this.#stagedStart * blockBytes);
    this.#stagedCount = 0;
  }

  #freedRunFor(size: number): { next: number; end: number } | undefined {
    const blocks = Math.ceil(size / blockBytes);
    if (blocks === 0) return undefined;
    const first = Math.max(0, this.#freed.length - freedLookedAt);
    for (let at = this.#freed.length - 1; at >= first; at--) {
      const { start, end } = this.#freed[at]!;
      if (end - start < blocks) continue;
      this.#freed[at] = this.#freed.at(-1)!;
      this.#freed.pop();
      return { next: start, end };
    }
    return undefined;
  }

  #putPartial(): void {
    const block = this.#partialBlock;
    this.#partialBlock = -1;
    this.#putBlocks(block, this.#partial);
  }

  /** Writes whole blocks from `block` of the file on, and leaves zeros out. */
  #putBlocks(block: number, bytes: Uint8Array): void {
    const count = bytes.length / blockBytes;
    for (let at = 0; at < count;) {
      let zeros = at;
      while (zeros < count && isZeroBlock(bytes, zeros * blockBytes)) zeros++;
      let end = zeros;
      while (end < count && !isZeroBlock(bytes, end * blockBytes)) end++;
      if (end > zeros) {
        this.#putRun(block + zeros, bytes.subarray(zeros * blockBytes, end * blockBytes));
      }
      at = end;
    }
  }

  #putRun(block: number, bytes: Uint8Array): void {
    this.#fillShortHole(block);
    for (let at = 0; at < bytes.length;) {
      const run = this.#nextRun((bytes.length - at) / blockBytes);
      const count = run.end - run.start;
      this.#addExtent(block + at / blockBytes, run.start, count);
      this.#stage(run.start, bytes.subarray(at, at + count * blockBytes));
      at += count * blockBytes;
    }
  }

  /** Writes the zeros before `block` when they are too few for a hole. */
  #fillShortHole(block: number): void {
    const last = this.#extents.at(-1);
    if (last === undefined) return;
    const zeros = block - last.logical - last.length;
    if (zeros > 0 && zeros < minHoleBlocks) {
      this.#putRun(block - zeros, zeroBlocks.subarray(0, zeros * blockBytes));
    }
  }

  #addExtent(logical: number, physical: number, length: number): void {
    const last = this.#extents.at(-1);
    if (
      last !== undefined && last.logical + last.length === logical &&
      last.physical + last.length === physical && last.length + length <= maxExtentBlocks
    ) {
      last.length += length;
    } else {
      this.#extents.push({ logical, physical, length });
    }
  }

  /** Up to `wanted` free blocks in a row, which the caller is to take. */
  #nextRun(wanted: number): BlockRun {
    const count = Math.min(wanted, stagedBlocks);
    if (this.#reused !== undefined && this.#reused.next < this.#reused.end) {
      const start = this.#reused.next;
      this.#reused.next = Math.min(start + count, this.#reused.end);
      return { start, end: this.#reused.next };
    }
    if (this.#next === this.#end) this.#advance();
    const start = this.#next;
    this.#next = Math.min(start + count, this.#end);
    return { start, end: this.#next };
  }

  /** Goes on behind the blocks of fixed place, and at last to those that were freed. */
  #advance(): void {
    const fresh = this.#space.findRun(this.#fresh, 1);
    if (fresh !== undefined) this.#fresh = fresh.end;
    const run = fresh ?? this.#freed.pop();
    if (run === undefined) throw tooSmall(this.#space);
    this.#next = run.start;
    this.#end = run.end;
  }

  #stage(block: number, bytes: Uint8Array): void {
    if (bytes.length >= directBytes) {
      // What is gathered may be of blocks that were freed since, and are these.
      this.flush();
      this.#sink.writeAt(bytes, block * blockBytes);
      return;
    }
    for (let at = 0; at < bytes.length;) {
      const follows = block + at / blockBytes === this.#stagedStart + this.#stagedCount;
      if (!follows || this.#stagedCount === stagedBlocks) this.flush();
      if (this.#stagedCount === 0) this.#stagedStart = block + at / blockBytes;
      const room = (stagedBlocks - this.#stagedCount) * blockBytes;
      const part = bytes.subarray(at, Math.min(bytes.length, at + room));
      this.#staged.set(part, this.#stagedCount * blockBytes);
      this.#stagedCount += part.length / blockBytes;
      at += part.length;
    }
  }
}

const zeroBlocks = new Uint8Array(minHoleBlocks * blockBytes);

function isZeroBlock(bytes: Uint8Array, start: number): boolean {
  if (bytes[start] !== 0) return false;
  for (let at = start, end = start + blockBytes; at < end; at++) {
    if (bytes[at] !== 0) return false;
  }
  return true;
}
