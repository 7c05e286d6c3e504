import type { DropReason, FrameRules } from "./frame_rules.ts";
import { lengthBytes, maxFrameBytes } from "./frame_lengths.ts";

/**
 * Most bytes of whole frames that are written at once, unless one frame alone is longer.
 *
 * passt reads once and takes up the rest of a frame with one more read, which must bring all of it. The
 * kernel hands over what is written to a Unix socket in pieces of at least 32 KiB, each whole
 * (unix_stream_sendmsg): so a write of up to that arrives at once, and a frame of up to 64 KiB that is
 * written alone arrives in two pieces.
 */
export const batchBytes = 32 * 1024;

/** What to do with the bytes at the start of a buffer. */
export interface Sieved {
  /** Parts of the buffer to write, each with one call, in this order. */
  readonly batches: readonly Uint8Array<ArrayBuffer>[];
  /** How many bytes of the buffer are done with; the rest is the start of a frame. */
  readonly usedBytes: number;
}

/**
 * Parts the guest's stream into frames and keeps those that {@linkcode FrameRules} allow. Nothing is
 * copied. A frame is looked at when all of it is there, so the buffer must hold the longest one.
 */
export class FrameSieve {
  readonly #rules: FrameRules;
  readonly #onDrop: (reason: DropReason) => void;

  constructor(rules: FrameRules, onDrop: (reason: DropReason) => void) {
    this.#rules = rules;
    this.#onDrop = onDrop;
  }

  /** @throws RangeError when a length is impossible: the stream can not be followed any more */
  sieve(buffer: Uint8Array<ArrayBuffer>): Sieved {
    const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    const batches: Uint8Array<ArrayBuffer>[] = [];
    let start = 0;
    let at = 0;
    const cut = (end: number) => {
      if (end > start) batches.push(buffer.subarray(start, end));
    };
    while (buffer.length - at >= lengthBytes) {
      const length = view.getUint32(at);
      if (length > maxFrameBytes) throw new RangeError(`a frame of ${length} bytes`);
      const next = at + lengthBytes + length;
      if (next > buffer.length) break;
      const reason = this.#rules.whyDropped(view, at + lengthBytes, length);
      if (reason !== undefined) {
        this.#onDrop(reason);
        cut(at);
        start = next;
      } else if (next - start > batchBytes) {
        cut(at);
        start = at;
      }
      at = next;
    }
    cut(at);
    return { batches, usedBytes: at };
  }
}
