import { allocatedBytes } from "../../images/copy_rootfs.ts";
import type { ArtefactStore } from "./contract.ts";
import { currentKit, currentKitFile } from "./ensure_kit.ts";
import type { ImageServiceParts } from "./image_service.ts";
import { usersOf } from "./views.ts";

/** What is looked for. */
export interface PruneRequest {
  /** Also images and kernels that are merely used by no VM, not only what nothing can use. */
  readonly all: boolean;
  /** Only tells. */
  readonly dryRun: boolean;
}

/** Something that was removed, or would be. */
export interface Pruned {
  readonly kind: "image" | "kernel" | "kit" | "blobs" | "leftover";
  readonly name: string;
  /** Why it is of no use. */
  readonly reason: string;
  /** What that frees on the disk: nothing where another one still needs the same bytes. */
  readonly bytes: number;
}

type Row = {
  readonly name: string;
  readonly digest: string;
  readonly managed?: boolean;
  readonly kernel?: string;
};

/**
 * Removes what nothing needs: versions that were replaced and that no VM uses, blobs of no image, kits
 * but the current one, directories without a row; with `all` every image and kernel that no VM uses.
 * What a start under way was given stays. Holds the `image_ops` lock.
 */
export async function prune(
  parts: ImageServiceParts,
  request: PruneRequest,
  signal: AbortSignal,
): Promise<Pruned[]> {
  return await parts.locks.hold("image_ops", "all", signal, async () => {
    const images = await pruneRows(parts, "image", parts.images, request, () => false);
    const kernelsOfImages = new Set(images.left.map(({ kernel }) => kernel));
    const isNeeded = ({ name }: Row) => kernelsOfImages.has(name);
    const kernels = await pruneRows(parts, "kernel", parts.kernels, request, isNeeded);
    const keep = new Set(images.left.flatMap((image) => image.blobs));
    const blobs = await parts.registry.prune(keep, request.dryRun);
    return [
      ...images.removed,
      ...kernels.removed,
      ...await pruneKits(parts, request),
      ...(blobs.removed === 0 ? [] : [{
        kind: "blobs" as const,
        name: String(blobs.removed),
        reason: "no image was made of them",
        bytes: blobs.bytes,
      }]),
    ];
  });
}

async function pruneRows<T extends Row>(
  parts: ImageServiceParts,
  noun: "image" | "kernel",
  store: ArtefactStore<T>,
  { all, dryRun }: PruneRequest,
  isNeeded: (row: T) => boolean,
): Promise<{ readonly left: T[]; readonly removed: Pruned[] }> {
  const vms = parts.vms.list();
  const digests = new Set(vms.map((vm) => noun === "image" ? vm.imageDigest : vm.kernelDigest));
  const names = usersOf(parts, noun);
  const isFree = (row: T) => !digests.has(row.digest) && !parts.handedOut.has(noun, row.name);
  // The store makes new objects each time: what is listed twice is not the same.
  const [current, superseded] = [store.list(), store.listSuperseded()];
  const isUnused = (row: T) => all && isFree(row) && !names.has(row.name) && !isNeeded(row);
  const rows = [...superseded.filter(isFree), ...current.filter(isUnused)];
  const left = [...current, ...superseded].filter((row) => !rows.includes(row));
  const kept = new Set(left.map(({ digest }) => digest));
  const removed: Pruned[] = [];
  for (const row of rows) {
    const dir = parts.paths.artefactDir(noun, row.digest);
    // Two names can have one directory: its bytes are freed with the last of them.
    const isLast = !kept.has(row.digest) && rows.findLast(sameDigest(row)) === row;
    const bytes = isLast ? await bytesOf(dir) : 0;
    const reason = superseded.includes(row)
      ? "a newer one has its name"
      : row.managed === false
      ? "no VM uses it; its file stays"
      : "no VM uses it";
    removed.push({ kind: noun, name: row.name, reason, bytes });
    // Rows first: a directory without a row is a leftover, should this be cut short.
    if (!dryRun) store.delete(row.name, row.digest);
    if (!dryRun && isLast) await remove(dir);
  }
  const parent = noun === "image" ? parts.paths.imagesDir : parts.paths.kernelsDir;
  const dirs = new Set(
    [...kept, ...rows.map(({ digest }) => digest)].map((digest) =>
      parts.paths.artefactDir(noun, digest)
    ),
  );
  return { left, removed: [...removed, ...await pruneLeftovers(parent, dirs, dryRun)] };
}

const sameDigest = ({ digest }: Row) => (other: Row) => other.digest === digest;

async function pruneLeftovers(
  parent: string,
  known: ReadonlySet<string>,
  dryRun: boolean,
): Promise<Pruned[]> {
  const removed: Pruned[] = [];
  for (const name of await namesIn(parent)) {
    const path = `${parent}/${name}`;
    if (known.has(path)) continue;
    const bytes = await bytesOf(path);
    removed.push({ kind: "leftover", name, reason: "of a change that was cut short", bytes });
    if (!dryRun) await remove(path);
  }
  return removed;
}

async function pruneKits(
  { paths }: ImageServiceParts,
  { dryRun }: PruneRequest,
): Promise<Pruned[]> {
  const { kitsDir } = paths;
  const current = await currentKit(kitsDir);
  const removed: Pruned[] = [];
  for (const name of await namesIn(kitsDir)) {
    if (name === currentKitFile || name === current?.file) continue;
    const bytes = await bytesOf(`${kitsDir}/${name}`);
    removed.push({ kind: "kit", name, reason: "a newer one is in its place", bytes });
    if (!dryRun) await remove(`${kitsDir}/${name}`);
  }
  return removed;
}

/** Snapshot of a directory's names; it is changed while they are looked at. */
async function namesIn(dir: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(dir), ({ name }) => name)).sort();
}

/** What a file, or a directory of files, takes on the disk; 0 for what is not there. */
export async function bytesOf(path: string): Promise<number> {
  try {
    const info = await Deno.lstat(path);
    if (!info.isDirectory) return await allocatedBytes(path);
    let bytes = 0;
    for await (const { name } of Deno.readDir(path)) bytes += await bytesOf(`${path}/${name}`);
    return bytes;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

async function remove(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
