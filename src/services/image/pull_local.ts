import type { ImageRecord } from "../../model/artefacts.ts";
import { localSourceName } from "../../model/image_name.ts";
import { imageSourceText } from "../../model/image_source.ts";
import type { StageReporter } from "../../model/stages.ts";
import type { LocalImage } from "./contract.ts";
import type { ImageServiceParts } from "./image_service.ts";
import { findImageFrom, publishOciImage } from "./publish_oci.ts";

/**
 * Makes an image of the user's files the current one of `name`; one that has not changed stays as it
 * is. Cancelled or failed at any point, nothing is left. Pulls at once are not shared: each has its
 * own client that reads the files, and must not fail when another's goes away.
 *
 * @param name `null` takes the one that follows from the source, and from what an archive says
 * @throws BangerError `conflict` when the name is another image's; what the source throws
 */
export async function pullLocalImage(
  parts: ImageServiceParts,
  image: LocalImage,
  name: string | null,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<ImageRecord> {
  const source = imageSourceText(image.source);
  let layers: readonly string[] = [];
  try {
    return await parts.registry.withLocal(image, signal, async (resolved, names) => {
      layers = resolved.layers;
      const wanted = { name: name ?? localSourceName(image.source, names), source, asked: source };
      findImageFrom(parts, wanted);
      return await publishOciImage(parts, resolved, wanted, reporter, signal);
    });
  } finally {
    // The files are the user's own: a copy of them is worth nothing.
    const images = [...parts.images.list(), ...parts.images.listSuperseded()];
    if (layers.length > 0) {
      const kept = new Set(images.flatMap(({ blobs }) => blobs));
      // The pull is over, whatever became of it: what stays is collected at the next start of the daemon.
      await parts.registry.drop(layers, kept).catch(() => {});
    }
  }
}
