import { paddedBytes } from "./tar_headers.ts";

/** A run of bytes that are there; what lies between runs is a hole. */
export interface Extent {
  readonly offset: number;
  readonly size: number;
}

/** Most runs of one file: the map of a file system of 1 TiB that is in use has fewer. */
export const maxExtents = 500_000;

/** Longest map, in bytes: so many runs of numbers below 1 TiB. */
export const maxMapBytes = 16 * 1024 * 1024;

/**
 * The map of a sparse file as GNU tar's format 1.0 has it in front of the data: the number of runs,
 * then offset and size of each, in decimal, a line each, padded with zeros to whole blocks. A file
 * that ends with a hole has an empty run at its end.
 */
export function encodeMap(extents: readonly Extent[], fileSize: number): Uint8Array {
  const last = extents.at(-1);
  const all = last !== undefined && last.offset + last.size === fileSize
    ? extents
    : [...extents, { offset: fileSize, size: 0 }];
  const lines = [all.length, ...all.flatMap(({ offset, size }) => [offset, size])];
  const text = new TextEncoder().encode(`${lines.join("\n")}\n`);
  const map = new Uint8Array(paddedBytes(text.length));
  map.set(text);
  return map;
}

/** Reads a map block by block: {@linkcode MapReader.push} until it answers the runs. */
export class MapReader {
  readonly #fileSize: number;
  readonly #numbers: number[] = [];
  #rest = "";
  #bytes = 0;

  constructor(fileSize: number) {
    this.#fileSize = fileSize;
  }

  /**
   * Takes one block. Answers the runs when the map is complete, the rule when it breaks one, and
   * `undefined` when more must come.
   */
  push(block: Uint8Array): readonly Extent[] | string | undefined {
    this.#bytes += block.length;
    if (this.#bytes > maxMapBytes) return "its map is too long";
    const nul = block.indexOf(0);
    const text = new TextDecoder("latin1").decode(nul < 0 ? block : block.subarray(0, nul));
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > 16) return "its map is damaged";
    for (const line of lines) {
      if (!/^(0|[1-9][0-9]{0,14})$/.test(line)) return "its map is damaged";
      this.#numbers.push(Number(line));
    }
    const [count] = this.#numbers;
    if (count !== undefined && (count < 1 || count > maxExtents)) {
      return "its map has too many runs";
    }
    if (count === undefined || this.#numbers.length < 1 + 2 * count) {
      return nul < 0 ? undefined : "its map is cut off";
    }
    if (this.#numbers.length > 1 + 2 * count || this.#rest !== "") return "its map is damaged";
    if (!block.subarray(nul < 0 ? block.length : nul).every((byte) => byte === 0)) {
      return "something stands behind its map";
    }
    return this.#extents();
  }

  #extents(): readonly Extent[] | string {
    const extents: Extent[] = [];
    let end = 0;
    for (let index = 1; index < this.#numbers.length; index += 2) {
      const offset = this.#numbers[index] ?? 0;
      const size = this.#numbers[index + 1] ?? 0;
      if (offset < end) return "its map has runs that overlap or go back";
      end = offset + size;
      if (end > this.#fileSize) return "its map leads beyond its end";
      const isLast = index + 2 === this.#numbers.length;
      if (size === 0 && !(isLast && offset === this.#fileSize)) return "its map has an empty run";
      if (size > 0) extents.push({ offset, size });
    }
    return end === this.#fileSize ? extents : "its map ends before its end";
  }
}

/** Bytes of data that the runs hold. */
export function dataBytes(extents: readonly Extent[]): number {
  return extents.reduce((sum, { size }) => sum + size, 0);
}
