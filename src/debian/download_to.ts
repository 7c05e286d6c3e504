import { createHash } from "node:crypto";
import { BangerError } from "../model/errors.ts";
import { download, type DownloadOptions, type ExpectedContent } from "./download.ts";

/**
 * Downloads into memory.
 *
 * @throws BangerError as {@linkcode download}
 */
export async function downloadBytes(options: DownloadOptions): Promise<Uint8Array> {
  let chunks: Uint8Array[] = [];
  const { bytes } = await download(options, {
    restart: () => {
      chunks = [];
      return Promise.resolve();
    },
    write: (chunk) => {
      chunks.push(chunk);
      return Promise.resolve();
    },
  });
  const all = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/**
 * Downloads to the file `path`, which appears whole and verified or not at all; the unfinished one
 * beside it is removed on failure.
 *
 * @throws BangerError as {@linkcode download}, `exhausted` when the disk is full
 */
export async function downloadFile(path: string, options: DownloadOptions): Promise<void> {
  const partial = `${path}.${crypto.randomUUID().slice(0, 8)}.partial`;
  try {
    using file = await Deno.open(partial, { write: true, createNew: true, mode: 0o600 });
    await download(options, {
      restart: async () => {
        await file.truncate(0);
        await file.seek(0, Deno.SeekMode.Start);
      },
      write: async (chunk) => {
        for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
      },
    });
    await Deno.rename(partial, path);
  } catch (error) {
    await removeQuietly(partial);
    if (error instanceof Error && "code" in error && error.code === "ENOSPC") {
      throw new BangerError("exhausted", `Cannot write "${path}": the disk is full`, {
        hint: `Free some space there${needed(options)} and try again`,
        cause: error,
      });
    }
    throw error;
  }
}

/** Whether the file `path` exists and is exactly `expected`; a different one is removed. */
export async function verifiedOnDisk(path: string, expected: ExpectedContent): Promise<boolean> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path, { read: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of file.readable) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  if (bytes === expected.bytes && hash.digest("hex") === expected.sha256) return true;
  await removeQuietly(path);
  return false;
}

function needed({ expected }: DownloadOptions): string {
  return expected === undefined ? "" : ` (${Math.ceil(expected.bytes / 1024 ** 2)} MiB are needed)`;
}

async function removeQuietly(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch {
    // It was never made, or is gone already.
  }
}
