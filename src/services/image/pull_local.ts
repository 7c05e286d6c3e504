import type { ImageRecord } from "../../model/artefacts.ts";
import { isBangerError } from "../../model/errors.ts";
import { localSourceName } from "../../model/image_name.ts";
import { imageSourceText } from "../../model/image_source.ts";
import type { StageReporter } from "../../model/stages.ts";
import type { LocalImage, ResolvedRegistryImage } from "./contract.ts";
import type { ImageServiceParts } from "./image_service.ts";
import { findImageFrom, publishOciImage, type WantedImage } from "./publish_oci.ts";

/**
 * Makes an image of the user's files the current one of `name`; one that has not changed stays as it
 * is. Cancelled or failed at any point, nothing is left. Several at once of what is the same image by its
 * digest share one pull, although each has a client of its own that could read the files.
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
      return await publishShared(parts, resolved, wanted, reporter, signal);
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

/**
 * Joins the pull of the same image that is under way: its files are then read by another client. When
 * that one goes away before all of them are here, this one's goes on.
 */
async function publishShared(
  parts: ImageServiceParts,
  resolved: ResolvedRegistryImage,
  wanted: WantedImage,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<ImageRecord> {
  const key = `${wanted.source} ${wanted.name} ${resolved.digest}`;
  for (;;) {
    let isOwn = false;
    try {
      return await parts.imagePulls.share(key, reporter, signal, (shared, stop) => {
        isOwn = true;
        return publishOciImage(parts, resolved, wanted, shared, stop);
      });
    } catch (error) {
      if (isOwn || signal.aborted || !isReaderGone(error)) throw error;
      reporter.notice("The command that read the image has ended: it is read again from here");
    }
  }
}

/** Whether it may be the other client that failed, and not what it read. */
function isReaderGone(error: unknown): boolean {
  return isBangerError(error, "unavailable") || isBangerError(error, "cancelled");
}
