import type { ImageRecord } from "../../model/artefacts.ts";
import { localImageName } from "../../model/image_name.ts";
import { type ImageReference, imageReferenceText } from "../../model/image_reference.ts";
import type { StageReporter } from "../../model/stages.ts";
import type { RegistryImage } from "./contract.ts";
import type { ImageServiceParts } from "./image_service.ts";
import { findImageFrom, publishOciImage } from "./publish_oci.ts";

/** The `source` of an image of a registry. */
export function registrySource(reference: ImageReference): string {
  return `registry:${imageReferenceText(reference)}`;
}

/**
 * The image of a registry that is here already: the one of that `name`, or else any that came from there.
 *
 * @throws BangerError `conflict` when `name` is another image's
 */
export function findRegistryImage(
  parts: Pick<ImageServiceParts, "images">,
  reference: ImageReference,
  name: string | null,
): ImageRecord | undefined {
  const asked = imageReferenceText(reference);
  return findImageFrom(parts, { name, asked, source: registrySource(reference) });
}

/**
 * Makes an image of a registry the current one of `name`; one that has not changed stays as it is. Several
 * at once share one pull. Cancelled or failed at any point, nothing is left but blobs for the next try.
 *
 * @param name `null` takes the one that follows from the reference
 * @throws BangerError `conflict` when the name is another image's; what the source throws
 */
export async function pullRegistryImage(
  parts: ImageServiceParts,
  image: RegistryImage,
  name: string | null,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<ImageRecord> {
  const { reference } = image;
  const wanted = {
    name: name ?? localImageName(reference),
    source: registrySource(reference),
    asked: imageReferenceText(reference),
  };
  findImageFrom(parts, wanted);
  const key = `${wanted.source} ${wanted.name}`;
  return await parts.imagePulls.share(
    key,
    reporter,
    signal,
    async (shared, stop) =>
      await parts.registry.with(
        image,
        stop,
        (resolved) => publishOciImage(parts, resolved, wanted, shared, stop),
      ),
  );
}
