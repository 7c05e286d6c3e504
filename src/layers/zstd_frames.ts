const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;
const maxHeaderBytes = 18;

/** A part of a zstd stream: bytes of one frame, and whether they are its last. */
export interface FramePart {
  readonly bytes: Uint8Array;
  readonly isLast: boolean;
}

/**
 * Finds where the frames of a zstd stream end (RFC 8878, section 3.1), since a decoder stops after
 * the first. Frames that decoders skip are left out.
 */
export class ZstdFrames {
  /** Bytes of a header that is not complete. */
  #pending = new Uint8Array(0);
  #state: "magic" | "skip" | "block" | "body" | "checksum" = "magic";
  #left = 0;
  #isLastBlock = false;
  #hasChecksum = false;

  /** Whether the stream may end here. */
  get isBetweenFrames(): boolean {
    return this.#state === "magic" && this.#pending.length === 0;
  }

  /** @returns `undefined` when `chunk` shows that the stream is damaged */
  push(chunk: Uint8Array): FramePart[] | undefined {
    const bytes = join(this.#pending, chunk);
    const parts: FramePart[] = [];
    /** Start of what belongs to the frame and is not yet in `parts`. */
    let start = 0;
    let at = 0;
    const close = (end: number, isLast: boolean) => {
      if (end > start || isLast) parts.push({ bytes: bytes.subarray(start, end), isLast });
      start = end;
    };
    while (true) {
      const left = bytes.length - at;
      if (this.#state === "magic") {
        const header = readHeader(bytes, at);
        if (header === "damaged") return undefined;
        if (header === "short") break;
        at += header.bytes;
        this.#hasChecksum = header.hasChecksum;
        this.#left = header.skippedBytes;
        this.#state = header.isSkippable ? "skip" : "block";
        if (header.isSkippable) start = at;
      } else if (this.#state === "block") {
        if (left < 3) break;
        const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
        const type = (word >>> 1) & 3;
        if (type === 3) return undefined;
        this.#isLastBlock = (word & 1) === 1;
        // A run of one byte has its length where others have the size of what is stored.
        this.#left = type === 1 ? 1 : word >>> 3;
        this.#state = "body";
        at += 3;
      } else {
        const taken = Math.min(left, this.#left);
        at += taken;
        this.#left -= taken;
        if (this.#state === "skip") start = at;
        if (this.#left > 0) break;
        if (this.#state === "body" && !this.#isLastBlock) this.#state = "block";
        else if (this.#state === "body" && this.#hasChecksum) {
          this.#state = "checksum";
          this.#left = 4;
        } else {
          if (this.#state !== "skip") close(at, true);
          this.#state = "magic";
        }
      }
    }
    close(at, false);
    this.#pending = bytes.slice(at);
    return parts;
  }
}

interface FrameHeader {
  readonly bytes: number;
  readonly isSkippable: boolean;
  readonly skippedBytes: number;
  readonly hasChecksum: boolean;
}

function readHeader(bytes: Uint8Array, at: number): FrameHeader | "short" | "damaged" {
  const left = bytes.length - at;
  if (left < 5) return "short";
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, Math.min(left, maxHeaderBytes));
  const magic = view.getUint32(0, true);
  if (((magic & 0xfffffff0) >>> 0) === skippableMagic) {
    if (left < 8) return "short";
    const skippedBytes = view.getUint32(4, true);
    return { bytes: 8, isSkippable: true, skippedBytes, hasChecksum: false };
  }
  if (magic !== frameMagic) return "damaged";
  const descriptor = view.getUint8(4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6]!;
  const total = 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes + sizeBytes;
  if (left < total) return "short";
  const hasChecksum = (descriptor & 0x4) !== 0;
  return { bytes: total, isSkippable: false, skippedBytes: 0, hasChecksum };
}

function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (first.length === 0) return second;
  const joined = new Uint8Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}
