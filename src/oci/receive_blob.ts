import type { Hash } from "node:crypto";
import { isBangerError } from "../model/errors.ts";
import { type BlobStore, diskError } from "./blob_store.ts";
import type { Descriptor, ImageOrigin } from "./image_origin.ts";
import type { RetryPolicy } from "./retries.ts";
import { hashFor, streamBlob } from "./stream_blob.ts";

/** How a blob is downloaded. */
export interface ReceiveOptions {
  readonly policy: RetryPolicy;
  readonly signal: AbortSignal;
  /** Bytes that are on disk. */
  readonly onProgress: (bytes: number) => void;
}

const readBytes = 1024 ** 2;

/**
 * Downloads a blob into the store; what an earlier download has left is gone on with. When this one
 * is cancelled or the network fails, what came stays for the next; wrong content and a full disk
 * leave nothing.
 *
 * @throws BangerError as {@linkcode streamBlob}, `exhausted` when the disk is full
 */
export async function receiveBlob(
  store: BlobStore,
  origin: ImageOrigin,
  descriptor: Descriptor,
  options: ReceiveOptions,
): Promise<void> {
  const part = store.partPath(descriptor.digest);
  const resumed = await attempt(store, origin, descriptor, options, false).then(
    () => false,
    (error: unknown) => {
      // A crash of the host may have damaged what was there: that is not the registry's fault.
      if (error instanceof DamagedStart) return true;
      throw error;
    },
  );
  if (resumed) await attempt(store, origin, descriptor, options, true);
  await Deno.rename(part, store.path(descriptor.digest));
}

/** What was left by an earlier download cannot be gone on with. */
class DamagedStart extends Error {}

async function attempt(
  store: BlobStore,
  origin: ImageOrigin,
  descriptor: Descriptor,
  options: ReceiveOptions,
  afresh: boolean,
): Promise<void> {
  const part = store.partPath(descriptor.digest);
  const { policy, signal, onProgress } = options;
  let hadStart = false;
  try {
    using file = await Deno.open(part, {
      ...{ read: true, write: true, create: true, truncate: afresh, mode: 0o600 },
    });
    const hash = hashFor(descriptor);
    const start = await readStart(file, hash, signal);
    hadStart = start.offset > 0;
    let written = start.offset;
    onProgress(written);
    for await (const chunk of streamBlob(origin, descriptor, { policy, signal, start })) {
      for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
      written += chunk.length;
      onProgress(written);
    }
    // Of the rename nothing is lost but the blob itself; of the content the name promises all.
    await file.syncData();
  } catch (error) {
    const wrong = isBangerError(error, "untrusted");
    const disk = diskError(error, part.slice(0, part.lastIndexOf("/")));
    if (wrong || disk !== error) await Deno.remove(part).catch(() => {});
    if (wrong && error.code === "DIGEST_MISMATCH" && hadStart) throw new DamagedStart();
    throw disk;
  }
}

/** Takes over what is in `file`, whose end the digest judges. Leaves it at its end. */
async function readStart(
  file: Deno.FsFile,
  hash: Hash,
  signal: AbortSignal,
): Promise<{ offset: number; hash: Hash }> {
  const { size } = await file.stat();
  const buffer = new Uint8Array(Math.min(readBytes, Math.max(size, 1)));
  let offset = 0;
  for (;;) {
    signal.throwIfAborted();
    const length = size === 0 ? null : await file.read(buffer);
    if (length === null) return { offset, hash };
    hash.update(buffer.subarray(0, length));
    offset += length;
  }
}
