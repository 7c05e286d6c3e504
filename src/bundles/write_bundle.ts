import { createHash } from "node:crypto";
import { BangerError, isBangerError, reasonOf } from "../model/errors.ts";
import { streamProgram } from "../process/stream_program.ts";
import {
  bundleFormat,
  type BundleMetadata,
  type MemberName,
  memberNames,
  metadataName,
} from "./bundle.ts";
import { asInvalid, encodeMetadata, parseMetadata } from "./metadata.ts";
import { readRuns, scanMember, type ScannedMember } from "./scan_member.ts";
import { endMarkBytes, memberHeaders, paddedBytes } from "./tar_headers.ts";

/** What a bundle is made of. */
export interface BundleSources {
  readonly metadata: Omit<BundleMetadata, "format" | "virtualSize" | "members">;
  /** Paths of the members' files. */
  readonly files: Partial<Readonly<Record<MemberName, string>>>;
}

/** How it is written. */
export interface WriteBundleOptions {
  /** The new file (0644); it appears when it is whole. */
  readonly path: string;
  /** Of zstd, 1 to 19; 15 when left out. */
  readonly level?: number;
  readonly signal: AbortSignal;
}

/** A bundle that was written. */
export interface WrittenBundle {
  readonly metadata: BundleMetadata;
  /** Of the file, in bytes. */
  readonly size: number;
  /** Of the file, in lower-case hexadecimal. */
  readonly sha256: string;
}

const defaultLevel = 15;

/**
 * Writes a bundle. The same metadata and contents give the same bytes, with the same version and
 * level of zstd.
 *
 * @throws BangerError `invalid` for what no bundle may have, `conflict` when a file changes
 * meanwhile, `precondition` when zstd is not installed, `exhausted` when the disk is full, `cancelled`
 */
export async function writeBundle(
  sources: BundleSources,
  options: WriteBundleOptions,
): Promise<WrittenBundle> {
  const { signal } = options;
  const scanned: ScannedMember[] = [];
  for (const name of memberNames) {
    const path = sources.files[name];
    if (path !== undefined) scanned.push(await scanMember(name, path, signal));
  }
  const members = scanned.map(({ member }) => member);
  const virtualSize = members.find(({ name }) => name === "rootfs.ext4")?.size ?? null;
  const metadata = { ...sources.metadata, format: bundleFormat, virtualSize, members } as const;
  try {
    // What a reader would refuse is not written.
    parseMetadata(encodeMetadata(metadata), metadata.name);
  } catch (error) {
    throw asInvalid(error);
  }
  const partial = `${options.path}.${crypto.randomUUID().slice(0, 8)}.partial`;
  await using undo = new AsyncDisposableStack();
  try {
    const archive = archiveBytes(metadata, scanned, signal);
    undo.defer(() => Deno.remove(partial).catch(() => {}));
    const written = await compress(archive, partial, options);
    await Deno.rename(partial, options.path);
    undo.move();
    return { metadata, ...written };
  } catch (error) {
    throw asWriteFailure(error, options.path);
  }
}

async function* archiveBytes(
  metadata: BundleMetadata,
  scanned: readonly ScannedMember[],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const first = encodeMetadata(metadata);
  yield memberHeaders({ name: metadataName, storedSize: first.length, sparseSize: null });
  yield first;
  yield padding(first.length);
  for (const { member, path, extents, map } of scanned) {
    const { name, size, storedSize, sparse } = member;
    yield memberHeaders({ name, storedSize, sparseSize: sparse ? size : null });
    yield map;
    const hash = createHash("sha256").update(map);
    for await (const chunk of readRuns(path, extents, signal)) {
      hash.update(chunk);
      yield chunk;
    }
    if (hash.digest("hex") !== member.sha256) {
      throw new BangerError("conflict", `Cannot bundle "${path}": it changes while it is read`);
    }
    yield padding(storedSize);
  }
  yield new Uint8Array(endMarkBytes);
}

function padding(bytes: number): Uint8Array {
  return new Uint8Array(paddedBytes(bytes) - bytes);
}

async function compress(
  archive: AsyncIterable<Uint8Array>,
  path: string,
  options: WriteBundleOptions,
): Promise<{ readonly size: number; readonly sha256: string }> {
  // One thread or many give the same frames, as long as zstd is told of threads at all.
  const args = ["-q", `-${options.level ?? defaultLevel}`, "-T0", "--check", "-c"];
  const hash = createHash("sha256");
  let size = 0;
  using file = await Deno.open(path, { write: true, createNew: true, mode: 0o644 });
  const packed = streamProgram("zstd", args, archive, {
    maxStdoutBytes: Number.MAX_SAFE_INTEGER,
    signal: options.signal,
  });
  for await (const chunk of packed) {
    for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
    hash.update(chunk);
    size += chunk.length;
  }
  await file.sync();
  return { size, sha256: hash.digest("hex") };
}

function asWriteFailure(error: unknown, path: string): unknown {
  if (isBangerError(error)) return error;
  const full = error instanceof Error && "code" in error &&
    ["ENOSPC", "EDQUOT"].includes(String(error.code));
  if (!full) return error;
  return new BangerError("exhausted", `Cannot write bundle "${path}": the disk is full`, {
    code: "NO_SPACE",
    detail: reasonOf(error),
    cause: error,
  });
}
