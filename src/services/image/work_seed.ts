import { flattenApart, type RunFlattener } from "../../layers/apart/flatten_apart.ts";
import type { BlobStore } from "../../oci/blob_store.ts";
import type { SeedTar, SourceContext } from "./contract.ts";

/** What {@linkcode makeWorkSeed} works with. */
export interface WorkSeedTools {
  readonly store: Pick<BlobStore, "path" | "size" | "hold" | "discard">;
  readonly flatten: RunFlattener;
}

const seedFile = "work-seed.ext4";
const mib = 1024 ** 2;
const gib = 1024 ** 3;

/**
 * Size of a file system that whatever an archive of so many bytes has fits into: a file of one byte takes a KiB there
 * and a block here. It is sparse.
 */
function virtualBytesFor(tarBytes: number): number {
  const roomy = Math.max(512 * mib, Math.min(8 * tarBytes, 2 * tarBytes + 4 * gib));
  return Math.ceil(roomy / (64 * mib)) * 64 * mib;
}

/**
 * Makes a work disk of a tar archive, with what unpacks layers: the same process without rights, the same rules and
 * limits. The archive is moved to where that process finds layers, and is gone at the end.
 *
 * @throws BangerError as `flattenApart`
 */
export async function makeWorkSeed(
  { store, flatten }: WorkSeedTools,
  { file, digest, size }: SeedTar,
  { stagingDir, reporter, signal }: Omit<SourceContext, "mirror">,
): Promise<{ readonly file: string; readonly virtualBytes: number }> {
  using hold = store.hold();
  hold.add(digest);
  const isLayer = await store.size(digest) !== undefined;
  const tar = `${stagingDir}/${file}`;
  if (isLayer) await Deno.remove(tar);
  else await moveFile(tar, store.path(digest));
  const virtualBytes = virtualBytesFor(size);
  try {
    await reporter.stage(
      { id: "bundle.work_seed", title: "Making the work disk's seed" },
      (progress) =>
        flattenApart(flatten, {
          staging: stagingDir.slice(stagingDir.lastIndexOf("/") + 1),
          file: seedFile,
          purpose: "work_disk",
          layers: [{ digest, diffId: digest, size }],
          sizeBytes: virtualBytes,
          uuid: digest.slice("sha256:".length).slice(0, 32),
          madeSeconds: 0,
        }, {
          label: file,
          signal,
          onProgress: ({ storedBytes }) => progress(storedBytes, size, "bytes"),
        }),
    );
  } finally {
    if (!isLayer) await store.discard([digest]);
  }
  return { file: seedFile, virtualBytes };
}

/** Cache and state may be on different disks. */
async function moveFile(from: string, to: string): Promise<void> {
  try {
    await Deno.rename(from, to);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EXDEV")) throw error;
    await Deno.copyFile(from, `${to}.part`);
    await Deno.rename(`${to}.part`, to);
    await Deno.remove(from);
  }
}
