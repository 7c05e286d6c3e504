import { imageSourceText } from "../../model/image_source.ts";
import type { LocalOrigin } from "../../oci/image_origin.ts";
import type { LocalImage } from "./contract.ts";

/**
 * The image in the user's files; the code for their form is loaded now.
 *
 * @throws BangerError as `openDockerArchive`
 */
export async function openLocalImage(
  { source, bytes }: LocalImage,
  signal: AbortSignal,
): Promise<LocalOrigin> {
  const label = imageSourceText(source);
  if (source.kind === "docker-archive") {
    const { openDockerArchive } = await import("../../oci/docker_archive.ts");
    return await openDockerArchive(bytes, { label, reference: source.reference, signal });
  }
  const { openOciLayout } = await import("../../oci/oci_layout.ts");
  return openOciLayout(bytes, { label, tags: source.tag === null ? null : [source.tag] });
}
