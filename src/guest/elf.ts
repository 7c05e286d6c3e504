import { BangerError } from "../model/errors.ts";

/** What the dynamic loader needs to know of a program or library. */
export interface ElfNeeds {
  /** Path of its loader; `null` for libraries and static programs. */
  readonly interpreter: string | null;
  /** Names of the libraries that it is linked with (DT_NEEDED). */
  readonly needed: readonly string[];
  /** Its own search path (DT_RUNPATH, else DT_RPATH). */
  readonly searchPath: string | null;
}

const segmentLoad = 1;
const segmentDynamic = 2;
const segmentInterp = 3;
const tagNeeded = 1n;
const tagStrings = 5n;
const tagRpath = 15n;
const tagRunpath = 29n;
const maxSegments = 128;
const maxDynamic = 4096;

/** Whether `bytes` start like an ELF file. */
export function isElf(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/**
 * Reads a 64-bit little-endian ELF file (System V ABI, "Program Header", "Dynamic Section").
 *
 * @throws BangerError `untrusted` when it is of another form or damaged
 */
export function elfNeeds(bytes: Uint8Array, label: string): ElfNeeds {
  try {
    return parse(bytes);
  } catch (cause) {
    throw new BangerError("untrusted", `Cannot use "${label}": it is not a sound 64-bit ELF file`, {
      cause,
    });
  }
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

function parse(bytes: Uint8Array): ElfNeeds {
  if (!isElf(bytes) || bytes[4] !== 2 || bytes[5] !== 1) throw new RangeError("header");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const segments = readSegments(view);
  const interp = segments.find((segment) => segment.type === segmentInterp);
  const dynamic = segments.find((segment) => segment.type === segmentDynamic);
  const interpreter = interp === undefined ? null : textAt(bytes, interp.offset);
  if (dynamic === undefined) return { interpreter, needed: [], searchPath: null };
  const tags: [bigint, number][] = [];
  for (let at = dynamic.offset, count = 0; count < maxDynamic; at += 16, count++) {
    const tag = view.getBigUint64(at, true);
    if (tag === 0n) break;
    tags.push([tag, Number(view.getBigUint64(at + 8, true))]);
  }
  const value = (wanted: bigint) => tags.find(([tag]) => tag === wanted)?.[1];
  const address = value(tagStrings);
  if (address === undefined) return { interpreter, needed: [], searchPath: null };
  const holder = segments.find((segment) =>
    segment.type === segmentLoad && address >= segment.address &&
    address < segment.address + segment.size
  );
  if (holder === undefined) throw new RangeError("string table");
  const strings = address - holder.address + holder.offset;
  const path = value(tagRunpath) ?? value(tagRpath);
  return {
    interpreter,
    needed: tags.filter(([tag]) => tag === tagNeeded).map(([, at]) => textAt(bytes, strings + at)),
    searchPath: path === undefined ? null : textAt(bytes, strings + path),
  };
}

function readSegments(view: DataView): Segment[] {
  const offset = Number(view.getBigUint64(32, true));
  const size = view.getUint16(54, true);
  const count = Math.min(view.getUint16(56, true), maxSegments);
  return Array.from({ length: count }, (_, index) => {
    const at = offset + index * size;
    return {
      type: view.getUint32(at, true),
      offset: Number(view.getBigUint64(at + 8, true)),
      address: Number(view.getBigUint64(at + 16, true)),
      size: Number(view.getBigUint64(at + 32, true)),
    };
  });
}

function textAt(bytes: Uint8Array, at: number): string {
  const end = bytes.indexOf(0, at);
  if (at >= bytes.length || end === -1 || end - at > 4096) throw new RangeError("text");
  return new TextDecoder().decode(bytes.subarray(at, end));
}
