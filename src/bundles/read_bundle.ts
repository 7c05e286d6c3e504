import { createHash } from "node:crypto";
import { ByteReader } from "../debian/byte_reader.ts";
import { BangerError, isBangerError } from "../model/errors.ts";
import { streamProgram } from "../process/stream_program.ts";
import {
  type BundleMember,
  type BundleMetadata,
  maxMetadataBytes,
  maxStoredBytes,
  type MemberName,
  metadataName,
} from "./bundle.ts";
import { bundleFault } from "./bundle_fault.ts";
import { headerFault } from "./header_fault.ts";
import { HoleWriter } from "./hole_writer.ts";
import { parseMetadata } from "./metadata.ts";
import { dataBytes, type Extent, MapReader } from "./sparse_map.ts";
import { blockBytes, endMarkBytes, memberHeaders, paddedBytes } from "./tar_headers.ts";

/** How a bundle is read. */
export interface ReadBundleOptions {
  /** How errors name it. */
  readonly label: string;
  /** A directory of the caller's own in which none of the members exists yet. */
  readonly outDir: string;
  /** Called with the metadata before anything is written: what it throws ends the reading. */
  readonly accept?: (metadata: BundleMetadata) => void | Promise<void>;
  /** Bytes of members so far, and in all. */
  readonly onProgress?: (bytes: number, totalBytes: number) => void;
  readonly signal: AbortSignal;
}

/** What zstd may use for its window, in MiB. */
const windowMib = 32;

/** Headers, maps and the end mark beside the members' bytes. */
const maxOverheadBytes = 1024 * 1024;

const chunkBytes = 1024 * 1024;

/**
 * Reads a compressed bundle from front to back and writes its members into a directory, under their
 * fixed names and with holes where nothing is. Every byte is checked: the order of the members,
 * their headers, sizes and hashes, and that nothing else is there. On failure everything that was
 * written is removed.
 *
 * @throws BangerError `untrusted` naming the member and the rule, `precondition` when zstd is not
 * installed, `exhausted` when the disk is full, `cancelled`; what `accept` and `packed` throw
 */
export async function readBundle(
  packed: AsyncIterable<Uint8Array>,
  options: ReadBundleOptions,
): Promise<BundleMetadata> {
  const plain = streamProgram("zstd", ["-q", "-d", "-c", `-M${windowMib}MiB`], packed, {
    maxStdoutBytes: maxStoredBytes + maxOverheadBytes,
    signal: options.signal,
  });
  const reader = new ByteReader(plain);
  await using undo = new AsyncDisposableStack();
  undo.defer(() => reader.close());
  const written: string[] = [];
  try {
    const metadata = await readMembers(reader, options, written);
    await reader.close();
    return metadata;
  } catch (error) {
    for (const path of written) await Deno.remove(path).catch(() => {});
    throw asReadFailure(error, options);
  }
}

async function readMembers(
  reader: ByteReader,
  options: ReadBundleOptions,
  written: string[],
): Promise<BundleMetadata> {
  const metadata = await readMetadata(reader, options.label);
  await options.accept?.(metadata);
  const total = metadata.members.reduce((sum, { storedSize }) => sum + storedSize, 0);
  let done = 0;
  const report = (bytes: number) => {
    if (options.signal.aborted) throw stopped(options.label);
    done += bytes;
    options.onProgress?.(done, total);
  };
  for (const member of metadata.members) {
    const { name, size, storedSize, sparse } = member;
    await expectHeaders(
      reader,
      name,
      memberHeaders({ name, storedSize, sparseSize: sparse ? size : null }),
      options.label,
    );
    const path = `${options.outDir}/${name}`;
    using file = await HoleWriter.create(path, size);
    written.push(path);
    await readContent(reader, member, file, options.label, report);
    await expectZeros(reader, paddedBytes(storedSize) - storedSize, name, options.label);
  }
  await expectEnd(reader, options.label);
  return metadata;
}

async function readMetadata(reader: ByteReader, label: string): Promise<BundleMetadata> {
  const block = await reader.upTo(blockBytes);
  // Its size is the one thing that only its header tells.
  const digits = new TextDecoder("latin1").decode(block.subarray(124, 135));
  const size = /^[0-7]{11}$/.test(digits) ? Number.parseInt(digits, 8) : 0;
  const expected = memberHeaders({ name: metadataName, storedSize: size, sparseSize: null });
  if (!sameBytes(block, expected)) throw wrongHeader(block, metadataName, label);
  if (size > maxMetadataBytes) {
    throw bundleFault(label, metadataName, `it is larger than ${maxMetadataBytes} bytes`);
  }
  const content = await reader.upTo(size);
  if (content.length < size) throw bundleFault(label, metadataName, "it is cut off");
  await expectZeros(reader, paddedBytes(size) - size, metadataName, label);
  return parseMetadata(content, label);
}

/** Reads the headers of a member block by block: the first that differs tells why. */
async function expectHeaders(
  reader: ByteReader,
  name: MemberName,
  expected: Uint8Array,
  label: string,
): Promise<void> {
  for (let at = 0; at < expected.length; at += blockBytes) {
    const block = await reader.upTo(blockBytes);
    if (!sameBytes(block, expected.subarray(at, at + blockBytes))) {
      throw wrongHeader(block, name, label);
    }
  }
}

async function readContent(
  reader: ByteReader,
  member: BundleMember,
  file: HoleWriter,
  label: string,
  report: (bytes: number) => void,
): Promise<void> {
  const fail = (why: string) => bundleFault(label, member.name, why);
  const hash = createHash("sha256");
  let extents: readonly Extent[] = [{ offset: 0, size: member.size }];
  if (member.sparse) {
    const map = new MapReader(member.size);
    let mapBytes = 0;
    for (;;) {
      const block = await reader.upTo(blockBytes);
      if (block.length < blockBytes) throw fail("it is cut off in its map");
      hash.update(block);
      mapBytes += block.length;
      if (mapBytes > member.storedSize) throw fail("its map is longer than it is stored");
      const result = map.push(block);
      if (typeof result === "string") throw fail(result);
      if (result === undefined) continue;
      extents = result;
      break;
    }
    if (mapBytes + dataBytes(extents) !== member.storedSize) {
      throw fail("its map does not fit its stored size");
    }
    report(mapBytes);
  }
  for (const { offset, size } of extents) {
    for (let at = 0; at < size;) {
      const chunk = await reader.some(Math.min(size - at, chunkBytes));
      if (chunk === undefined) throw fail("it is cut off");
      // The hash is computed while the system writes.
      const written = file.writeAt(chunk, offset + at);
      hash.update(chunk);
      await written;
      at += chunk.length;
      report(chunk.length);
    }
  }
  const got = hash.digest("hex");
  if (got !== member.sha256) {
    throw bundleFault(label, member.name, "its SHA-256 is not the one in the metadata", {
      code: "HASH_MISMATCH",
      detail: `expected ${member.sha256}\ngot      ${got}`,
    });
  }
}

async function expectZeros(
  reader: ByteReader,
  bytes: number,
  member: string,
  label: string,
): Promise<void> {
  const padding = await reader.upTo(bytes);
  if (padding.length < bytes) throw bundleFault(label, member, "it is cut off behind its content");
  if (padding.some((byte) => byte !== 0)) {
    throw bundleFault(label, member, "something stands behind its content");
  }
}

async function expectEnd(reader: ByteReader, label: string): Promise<void> {
  const mark = await reader.upTo(endMarkBytes);
  if (mark.subarray(0, blockBytes).some((byte) => byte !== 0)) {
    throw wrongHeader(mark.subarray(0, blockBytes), null, label);
  }
  if (mark.length < endMarkBytes) throw bundleFault(label, null, "the archive has no end mark");
  if (mark.some((byte) => byte !== 0)) {
    throw bundleFault(label, null, "something stands in the archive's end mark");
  }
  // Also makes sure that the compressed data is whole: zstd ends well only then.
  if (await reader.some(1) !== undefined) {
    throw bundleFault(label, null, "something stands behind the archive's end");
  }
}

function wrongHeader(block: Uint8Array, name: string | null, label: string): BangerError {
  const { member, why } = headerFault(block, name);
  return bundleFault(label, member, why);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function asReadFailure(error: unknown, { label, signal }: ReadBundleOptions): unknown {
  if (signal.aborted) return isBangerError(error, "cancelled") ? error : stopped(label);
  // Every refusal of the reader's own has a code; what is left comes from zstd.
  if (isBangerError(error, "untrusted") && error.code === undefined) {
    return bundleFault(label, null, "its compressed data is damaged", {
      ...(error.detail === undefined ? {} : { detail: error.detail }),
      cause: error,
    });
  }
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (!["ENOSPC", "EDQUOT", "EFBIG"].includes(code)) return error;
  return new BangerError("exhausted", `Cannot unpack bundle "${label}": the disk is full`, {
    code: "NO_SPACE",
    hint: "Free some space, or set XDG_STATE_HOME to a directory on a larger disk",
    cause: error,
  });
}

function stopped(label: string): BangerError {
  return new BangerError("cancelled", `Stopped unpacking bundle "${label}"`);
}
