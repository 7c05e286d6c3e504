import type { ImageView } from "../../api/artefacts.ts";
import type { ImageRecord } from "../../model/artefacts.ts";
import type { ImageServiceDeps } from "./contract.ts";
import { bytesOf } from "./prune.ts";

/** A part of an image on the disk, by a key that equal parts have in common. */
type Parts = ReadonlyMap<string, number>;

/**
 * The views with what the images really take on the disk: file systems by their allocated blocks, the
 * blobs that are kept for them, and how much of both other images (or their earlier versions) use too.
 */
export async function withDiskUse(
  deps: Pick<ImageServiceDeps, "images" | "paths" | "registry">,
  views: readonly ImageView[],
): Promise<ImageView[]> {
  const all = [...deps.images.list(), ...deps.images.listSuperseded()];
  const blobs = await deps.registry.sizes(new Set(all.flatMap((image) => image.blobs)));
  const partsOf = new Map<ImageRecord, Parts>();
  const owners = new Map<string, number>();
  for (const image of all) {
    const parts = new Map([[`rootfs ${image.digest}`, await rootfsBytes(deps, image)]]);
    for (const digest of image.blobs) parts.set(digest, blobs.get(digest) ?? 0);
    partsOf.set(image, parts);
    for (const key of parts.keys()) owners.set(key, (owners.get(key) ?? 0) + 1);
  }
  return views.map((view) => {
    const image = all.find(({ name, digest }) => name === view.name && digest === view.digest);
    const parts = image === undefined ? undefined : partsOf.get(image);
    if (image === undefined || parts === undefined) return view;
    const diskBytes = parts.get(`rootfs ${image.digest}`) ?? 0;
    const entries = [...parts];
    const sum = (some: readonly (readonly [string, number])[]) =>
      some.reduce((total, [, bytes]) => total + bytes, 0);
    return {
      ...view,
      diskBytes,
      blobBytes: sum(entries) - diskBytes,
      sharedBytes: sum(entries.filter(([key]) => (owners.get(key) ?? 0) > 1)),
    };
  });
}

/** Everything of a managed image; of a registered file what it took then. */
async function rootfsBytes(
  { paths }: Pick<ImageServiceDeps, "paths">,
  { digest, managed, diskBytes }: ImageRecord,
): Promise<number> {
  return managed ? await bytesOf(paths.artefactDir("image", digest)) : diskBytes;
}
