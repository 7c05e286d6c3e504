import type { Digest } from "../model/digest.ts";
import { SharedWork } from "../sync/shared_work.ts";
import type { BlobStore } from "./blob_store.ts";
import type { Descriptor, ImageOrigin } from "./image_origin.ts";
import { receiveBlob } from "./receive_blob.ts";
import { defaultRetryPolicy, type RetryPolicy } from "./retries.ts";
import { wrongSize } from "./stream_blob.ts";

/** How the blobs of an image are downloaded. */
export interface FetchOptions {
  readonly signal: AbortSignal;
  /** Bytes that are here, and of all blobs together. */
  readonly onProgress?: (bytes: number, totalBytes: number) => void;
  /** Told as soon as a blob is in the store, in the order in which they arrive. */
  readonly onBlob?: (digest: Digest) => void;
  readonly policy?: RetryPolicy;
}

interface Download {
  bytes: number;
  readonly listeners: Set<(bytes: number) => void>;
}

const atOnce = 3;

/**
 * Brings blobs into a {@linkcode BlobStore}: three at once for each caller, and one that several
 * callers want only once. One for the daemon's life.
 */
export class BlobFetcher {
  readonly #store: BlobStore;
  readonly #work = new SharedWork<void>();
  readonly #downloads = new Map<Digest, Download>();

  constructor(store: BlobStore) {
    this.#store = store;
  }

  /**
   * Returns when all `blobs` are in the store. They must be held there (see `BlobStore.hold`)
   * from before the call until they are used. When one fails, those that nobody else wants are stopped.
   *
   * @throws BangerError as {@linkcode receiveBlob}
   */
  async fetch(
    origin: ImageOrigin,
    blobs: readonly Descriptor[],
    options: FetchOptions,
  ): Promise<void> {
    const unique = [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
    const totalBytes = unique.reduce((sum, { size }) => sum + size, 0);
    const bytes = new Map<Digest, number>();
    let sum = 0;
    const report = (digest: Digest, now: number) => {
      sum += now - (bytes.get(digest) ?? 0);
      bytes.set(digest, now);
      options.onProgress?.(sum, totalBytes);
    };
    const failed = new AbortController();
    const signal = AbortSignal.any([options.signal, failed.signal]);
    const waiting = unique.values();
    const worker = async () => {
      for (const blob of waiting) {
        await this.#one(origin, blob, signal, options.policy, (now) => report(blob.digest, now));
        options.onBlob?.(blob.digest);
      }
    };
    const workers = Array.from({ length: atOnce }, async () => {
      try {
        await worker();
      } catch (error) {
        failed.abort(error);
        throw error;
      }
    });
    await Promise.allSettled(workers);
    options.signal.throwIfAborted();
    failed.signal.throwIfAborted();
  }

  async #one(
    origin: ImageOrigin,
    blob: Descriptor,
    signal: AbortSignal,
    policy: RetryPolicy = defaultRetryPolicy,
    onProgress: (bytes: number) => void,
  ): Promise<void> {
    signal.throwIfAborted();
    if (await this.#isHere(blob)) return onProgress(blob.size);
    const known = this.#downloads.get(blob.digest);
    const download = known ?? { bytes: 0, listeners: new Set() };
    this.#downloads.set(blob.digest, download);
    download.listeners.add(onProgress);
    onProgress(download.bytes);
    try {
      let ended: Promise<void> = Promise.resolve();
      let stopped: AbortSignal | undefined;
      const receive = async (stop: AbortSignal) => {
        stopped = stop;
        ended = this.#receive(origin, blob, download, { policy, signal: stop });
        await ended;
      };
      const joins = this.#work.has(blob.digest);
      try {
        await this.#work.share(blob.digest, signal, receive);
      } catch (error) {
        // Nobody else wants it: its file is closed before the caller goes on.
        if (stopped?.aborted === true) await ended.catch(() => {});
        // Another pull's registry or credentials may fail where this one's do not.
        if (!joins || signal.aborted) throw error;
        await this.#work.share(blob.digest, signal, receive);
      }
      if (!await this.#isHere(blob)) throw wrongSize(origin, blob, "other");
      onProgress(blob.size);
    } finally {
      download.listeners.delete(onProgress);
      if (download.listeners.size === 0 && this.#downloads.get(blob.digest) === download) {
        this.#downloads.delete(blob.digest);
      }
    }
  }

  async #receive(
    origin: ImageOrigin,
    blob: Descriptor,
    download: Download,
    options: { readonly policy: RetryPolicy; readonly signal: AbortSignal },
  ): Promise<void> {
    if (await this.#isHere(blob)) return;
    await receiveBlob(this.#store, origin, blob, {
      ...options,
      onProgress: (bytes) => {
        download.bytes = bytes;
        for (const listener of download.listeners) listener(bytes);
      },
    });
  }

  async #isHere({ digest, size }: Descriptor): Promise<boolean> {
    return await this.#store.size(digest) === size;
  }
}
