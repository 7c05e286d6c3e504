import { createHash } from "node:crypto";
import { BangerError } from "../model/errors.ts";
import { type BundleMember, maySparse, type MemberName } from "./bundle.ts";
import { grainBytes, isZeroGrain } from "./grains.ts";
import { dataBytes, encodeMap, type Extent, maxExtents } from "./sparse_map.ts";

/** Shorter runs of zeros are data: they compress to nothing, while each hole costs a line of the map. */
const shortestHoleBytes = 64 * 1024;

/** How much is read at once, in bytes; a multiple of the grain. */
const readBytes = 1024 * 1024;

/** A file that goes into a bundle. */
export interface ScannedMember {
  readonly member: BundleMember;
  readonly path: string;
  /** Where its data is; one run over everything for a file that is not sparse. */
  readonly extents: readonly Extent[];
  /** The map in front of the data; empty for a file that is not sparse. */
  readonly map: Uint8Array;
}

/**
 * Reads a file for the first time: where its data is, and the hash of what will be stored. Only what
 * the file says counts, not how the host's file system stores it, so that equal files give equal
 * bundles.
 *
 * @throws BangerError `invalid` for what is not a file of its own, `cancelled`
 */
export async function scanMember(
  name: MemberName,
  path: string,
  signal: AbortSignal,
): Promise<ScannedMember> {
  const info = await Deno.stat(path);
  if (!info.isFile) {
    throw new BangerError("invalid", `Cannot bundle "${path}": it is not a regular file`);
  }
  const { size } = info;
  const extents = maySparse(name) ? await findData(path, size, signal) : [{ offset: 0, size }];
  const stored = dataBytes(extents);
  // Without a hole, or with so many that no reader takes them, the file is stored as it is.
  const sparse = stored < size && extents.length < maxExtents;
  const runs = sparse ? extents : [{ offset: 0, size }];
  const map = sparse ? encodeMap(extents, size) : new Uint8Array(0);
  const hash = createHash("sha256").update(map);
  for await (const chunk of readRuns(path, runs, signal)) hash.update(chunk);
  const storedSize = map.length + dataBytes(runs);
  const member = { name, size, storedSize, sparse, sha256: hash.digest("hex") };
  return { member, path, extents: runs, map };
}

/** The bytes of the runs of a file, one after the other. */
export async function* readRuns(
  path: string,
  runs: readonly Extent[],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  using file = await Deno.open(path, { read: true });
  for (const { offset, size } of runs) {
    await file.seek(offset, Deno.SeekMode.Start);
    for (let left = size; left > 0;) {
      if (signal.aborted) throw new BangerError("cancelled", `Stopped reading "${path}"`);
      const chunk = await readPiece(file, Math.min(left, readBytes));
      if (chunk.length === 0) {
        throw new BangerError("conflict", `Cannot bundle "${path}": it has become shorter`);
      }
      left -= chunk.length;
      yield chunk;
    }
  }
}

async function findData(path: string, size: number, signal: AbortSignal): Promise<Extent[]> {
  const runs: { offset: number; size: number }[] = [];
  let at = 0;
  for await (const chunk of readRuns(path, [{ offset: 0, size }], signal)) {
    for (let start = 0; start < chunk.length; start += grainBytes) {
      const grain = chunk.subarray(start, start + grainBytes);
      if (isZeroGrain(grain)) continue;
      const offset = at + start;
      const last = runs.at(-1);
      if (last !== undefined && offset - (last.offset + last.size) < shortestHoleBytes) {
        last.size = offset + grain.length - last.offset;
      } else {
        runs.push({ offset, size: grain.length });
      }
    }
    at += chunk.length;
  }
  const last = runs.at(-1);
  // What is left at the end is a hole of its own only when it is long enough.
  if (last !== undefined && size - (last.offset + last.size) < shortestHoleBytes) {
    last.size = size - last.offset;
  }
  return runs;
}

/** Fills a piece as far as the file goes, so that pieces always begin at a grain. */
async function readPiece(file: Deno.FsFile, bytes: number): Promise<Uint8Array> {
  const piece = new Uint8Array(bytes);
  let filled = 0;
  while (filled < bytes) {
    const count = await file.read(piece.subarray(filled));
    if (count === null) break;
    filled += count;
  }
  return piece.subarray(0, filled);
}
