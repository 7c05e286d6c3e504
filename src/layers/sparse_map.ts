import { byteString } from "../ext4/byte_string.ts";
import type { Refuse } from "./refusal.ts";
import { parseNumber, tarBlockBytes } from "./tar_header.ts";

/** Where the stored bytes of a sparse file belong: `length` bytes at `offset`, one after the other. */
export interface SparseSegment {
  readonly offset: number;
  readonly length: number;
}

const numberBytes = 12;
const inHeader = { start: 386, count: 4, continuedAt: 482, realSizeAt: 483 };
const inExtension = { start: 0, count: 21, continuedAt: 504 };

/** What a GNU header of type `S`, or a block that continues its map, says. */
export interface OldSparsePart {
  readonly segments: readonly SparseSegment[];
  /** Whether another block of map follows. */
  readonly isContinued: boolean;
}

/** The map's part in a header, and the file's size. */
export function oldSparseHeader(
  block: Uint8Array,
  refuse: Refuse,
): OldSparsePart & { realSize: number } {
  const realSize = parseNumber(block, inHeader.realSizeAt, numberBytes);
  if (realSize === undefined || realSize < 0) {
    throw refuse("has a damaged sparse size", "IMAGE_DAMAGED");
  }
  return { ...part(block, inHeader, refuse), realSize };
}

/** The map's part in a block behind the header. */
export function oldSparseExtension(block: Uint8Array, refuse: Refuse): OldSparsePart {
  return part(block, inExtension, refuse);
}

function part(
  block: Uint8Array,
  { start, count, continuedAt }: { start: number; count: number; continuedAt: number },
  refuse: Refuse,
): OldSparsePart {
  const segments: SparseSegment[] = [];
  for (let index = 0; index < count; index++) {
    const at = start + index * 2 * numberBytes;
    if (block[at] === 0) break;
    const offset = parseNumber(block, at, numberBytes);
    const length = parseNumber(block, at + numberBytes, numberBytes);
    if (offset === undefined || length === undefined) {
      throw refuse("has a damaged sparse map", "IMAGE_DAMAGED");
    }
    segments.push({ offset, length });
  }
  return { segments, isContinued: block[continuedAt] !== 0 };
}

/** The map of a pax header before version 1.0: offset and length by turns. */
export function segmentsOf(numbers: readonly number[], refuse: Refuse): SparseSegment[] {
  if (numbers.length % 2 !== 0) throw refuse("has a damaged sparse map", "IMAGE_DAMAGED");
  return Array.from({ length: numbers.length / 2 }, (_, index) => ({
    offset: numbers[2 * index]!,
    length: numbers[2 * index + 1]!,
  }));
}

/**
 * The map in front of the content in version 1.0: lines with numbers, the first of them their count,
 * filled up to a block.
 */
export class SparseMapLines {
  readonly #maxSegments: number;
  readonly #refuse: Refuse;
  readonly #numbers: number[] = [];
  #line = "";

  constructor(maxSegments: number, refuse: Refuse) {
    this.#maxSegments = maxSegments;
    this.#refuse = refuse;
  }

  /**
   * @param block the next block of the content
   * @returns the segments, once the map is complete
   */
  push(block: Uint8Array): SparseSegment[] | undefined {
    let start = 0;
    for (let at = 0; at < tarBlockBytes; at++) {
      if (block[at] !== 0x0a) continue;
      this.#number(this.#line + byteString(block, start, at));
      this.#line = "";
      start = at + 1;
      if (this.#numbers.length === 1 + 2 * this.#numbers[0]!) {
        return segmentsOf(this.#numbers.slice(1), this.#refuse);
      }
    }
    this.#line += byteString(block, start, tarBlockBytes);
    if (this.#line.length > 20) throw this.#refuse("has a damaged sparse map", "IMAGE_DAMAGED");
    return undefined;
  }

  #number(text: string): void {
    if (!/^[0-9]{1,15}$/.test(text)) {
      throw this.#refuse("has a damaged sparse map", "IMAGE_DAMAGED");
    }
    this.#numbers.push(Number(text));
    if (this.#numbers[0]! > this.#maxSegments) {
      throw this.#refuse(`has more than ${this.#maxSegments} data segments`, "IMAGE_LIMIT");
    }
  }
}

/**
 * Checks that segments follow each other inside the file and hold as many bytes as are stored.
 *
 * @throws BangerError `untrusted` otherwise
 */
export function checkSegments(
  segments: readonly SparseSegment[],
  realSize: number,
  storedBytes: number,
  refuse: Refuse,
): void {
  let end = 0;
  let total = 0;
  for (const { offset, length } of segments) {
    if (offset < end || length < 0 || offset + length > realSize) {
      throw refuse("has a sparse map that does not fit its size", "IMAGE_DAMAGED");
    }
    end = offset + length;
    total += length;
  }
  if (total !== storedBytes) {
    throw refuse("has a sparse map that does not fit its content", "IMAGE_DAMAGED");
  }
}
