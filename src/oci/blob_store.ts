import { createHash } from "node:crypto";
import { type Digest, digestParts, isDigest } from "../model/digest.ts";
import { BangerError } from "../model/errors.ts";
import { ensurePrivateDir } from "../paths/ensure_dir.ts";
import { blobPartPath, blobPath, partSuffix } from "./blob_path.ts";

const readBytes = 1024 ** 2;

/** Blobs that somebody needs until this is disposed of. */
export interface BlobHold extends Disposable {
  add(digest: Digest): void;
}

/** What {@linkcode BlobStore.collect} did. */
export interface Collected {
  readonly removed: number;
  readonly bytes: number;
}

/**
 * Verified content by its digest: `DIR/ALGORITHM/HEX`, 0600 in 0700. A file with such a name is
 * whole: it got it after its digest was checked and its bytes were on disk. `HEX.part` is what came
 * of a download so far. One process at a time works on a directory.
 */
export class BlobStore {
  readonly #dir: string;
  readonly #holds = new Map<Digest, number>();

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** Makes the directories below `dir` where they are missing. @throws BangerError `precondition` */
  static open(dir: string, uid: number): BlobStore {
    for (const path of [dir, `${dir}/sha256`, `${dir}/sha512`]) ensurePrivateDir(path, uid);
    return new BlobStore(dir);
  }

  /** Where the blob is, or will be. */
  path(digest: Digest): string {
    return blobPath(this.#dir, digest);
  }

  /** Where the download of the blob is written. */
  partPath(digest: Digest): string {
    return blobPartPath(this.#dir, digest);
  }

  /** Bytes of the blob; `undefined` when it is not here. */
  async size(digest: Digest): Promise<number | undefined> {
    try {
      return (await Deno.lstat(this.path(digest))).size;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /**
   * The content of a blob that is here. A chunk is valid until the next one is asked for.
   *
   * @throws BangerError `not_found`
   */
  async *read(digest: Digest): AsyncGenerator<Uint8Array> {
    using file = await this.#open(digest);
    const buffer = new Uint8Array(readBytes);
    for (;;) {
      const length = await file.read(buffer);
      if (length === null) return;
      yield buffer.subarray(0, length);
    }
  }

  /**
   * A small blob in memory, checked again; one that the disk has damaged is removed.
   *
   * @returns `undefined` when it is not here, is longer than `maxBytes`, or was damaged
   */
  async readSmall(digest: Digest, maxBytes: number): Promise<Uint8Array | undefined> {
    const size = await this.size(digest);
    if (size === undefined || size > maxBytes) return undefined;
    const bytes = await Deno.readFile(this.path(digest));
    const { algorithm, hex } = digestParts(digest);
    if (createHash(algorithm).update(bytes).digest("hex") === hex) return bytes;
    await Deno.remove(this.path(digest));
    return undefined;
  }

  /** Keeps `bytes`, whose digest the caller has checked. */
  async put(digest: Digest, bytes: Uint8Array): Promise<void> {
    if (await this.size(digest) !== undefined) return;
    const temporary = `${this.path(digest)}.${crypto.randomUUID().slice(0, 8)}${partSuffix}`;
    try {
      {
        using file = await Deno.open(temporary, { write: true, createNew: true, mode: 0o600 });
        for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
        await file.syncData();
      }
      await Deno.rename(temporary, this.path(digest));
    } catch (error) {
      await Deno.remove(temporary).catch(() => {});
      throw diskError(error, this.#dir);
    }
  }

  /**
   * Removes blobs that are of no use to the caller, who holds them, unless another one does as well.
   * An image that was made of them needs them no more.
   */
  async discard(digests: Iterable<Digest>): Promise<void> {
    for (const digest of digests) {
      if ((this.#holds.get(digest) ?? 0) <= 1) {
        await Deno.remove(this.path(digest)).catch(ignoreMissing);
      }
    }
  }

  /** Keeps the digests that are added to the answer from {@linkcode collect}. */
  hold(): BlobHold {
    const held = new Set<Digest>();
    return {
      add: (digest) => {
        if (held.has(digest)) return;
        held.add(digest);
        this.#holds.set(digest, (this.#holds.get(digest) ?? 0) + 1);
      },
      [Symbol.dispose]: () => {
        for (const digest of held) {
          const count = (this.#holds.get(digest) ?? 0) - 1;
          if (count > 0) this.#holds.set(digest, count);
          else this.#holds.delete(digest);
        }
        held.clear();
      },
    };
  }

  /**
   * Removes what is neither in `keep` nor held. Downloads that broke off stay for `partsForMs`
   * after their last byte, so that another pull can go on with them. With `dryRun` it only tells.
   */
  async collect(
    keep: ReadonlySet<Digest>,
    { nowMs, partsForMs, dryRun = false }: {
      readonly nowMs: number;
      readonly partsForMs: number;
      readonly dryRun?: boolean;
    },
  ): Promise<Collected> {
    let [removed, bytes] = [0, 0];
    for (const algorithm of ["sha256", "sha512"]) {
      for await (const { name } of Deno.readDir(`${this.#dir}/${algorithm}`)) {
        const path = `${this.#dir}/${algorithm}/${name}`;
        const digest = `${algorithm}:${name.split(".")[0]}`;
        if (isDigest(digest) && this.#holds.has(digest)) continue;
        const info = await Deno.lstat(path);
        const idleMs = nowMs - (info.mtime?.getTime() ?? 0);
        const isKept = name.endsWith(partSuffix)
          ? isDigest(digest) && idleMs < partsForMs
          : isDigest(digest) && keep.has(digest);
        if (isKept) continue;
        if (!dryRun) await Deno.remove(path, { recursive: true });
        removed++;
        bytes += info.size;
      }
    }
    return { removed, bytes };
  }

  /** Removes blobs, finished or not, but for those in `keep` and what is held. */
  async drop(blobs: readonly Digest[], keep: ReadonlySet<Digest>): Promise<void> {
    for (const digest of blobs) {
      if (keep.has(digest) || this.#holds.has(digest)) continue;
      for (const path of [this.path(digest), this.partPath(digest)]) {
        await Deno.remove(path).catch((error) => {
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        });
      }
    }
  }

  async #open(digest: Digest): Promise<Deno.FsFile> {
    try {
      return await Deno.open(this.path(digest), { read: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new BangerError("not_found", `Cannot read blob ${digest}: it is not here`, {
        hint: "Pull the image again",
        cause: error,
      });
    }
  }
}

/** A full disk as an expected error; anything else as it is. */
export function diskError(error: unknown, dir: string): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new BangerError("exhausted", `Cannot write to "${dir}": the disk is full`, {
    hint: "Free space there and try again: banger image prune removes unused images",
    code: "NO_SPACE",
    cause: error,
  });
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
