import { isFile } from "../../images/is_file.ts";
import { publishDir } from "../../images/publish.ts";
import { makeStaging, removeStaging } from "../../images/staging.ts";
import { debianBookworm } from "../../images/debian_bookworm.ts";
import type { ImageRecord } from "../../model/artefacts.ts";
import { BangerError } from "../../model/errors.ts";
import { localImageName } from "../../model/image_name.ts";
import { type ImageReference, imageReferenceText } from "../../model/image_reference.ts";
import type { StageReporter } from "../../model/stages.ts";
import type { RegistryImage, ResolvedRegistryImage } from "./contract.ts";
import type { ImageServiceParts } from "./image_service.ts";

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
  const source = registrySource(reference);
  if (name === null) return parts.images.list().find((image) => image.source === source);
  const present = parts.images.find(name);
  if (present === undefined || present.source === source) return present;
  throw nameTaken(name, present, reference);
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
  const local = name ?? localImageName(reference);
  const source = registrySource(reference);
  findRegistryImage(parts, reference, local);
  const key = `${source} ${local}`;
  return await parts.imagePulls.share(
    key,
    reporter,
    signal,
    async (shared, stop) =>
      await parts.registry.with(image, stop, async (resolved) => {
        const present = parts.images.findByDigest(resolved.digest);
        if (present !== undefined && await isFile(present.rootfsPath)) {
          return await publish(parts, { ...present, name: local, source }, stop);
        }
        return await unpack(parts, resolved, { name: local, source }, shared, stop);
      }),
  );
}

async function unpack(
  parts: ImageServiceParts,
  resolved: ResolvedRegistryImage,
  { name, source }: Pick<ImageRecord, "name" | "source">,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<ImageRecord> {
  const { paths, uid } = parts;
  const stagingDir = await makeStaging(paths.stagingDir, "image");
  try {
    const made = await resolved.unpack({ stagingDir, reporter, signal });
    const target = paths.artefactDir("image", resolved.digest);
    return await publish(
      parts,
      {
        name,
        digest: resolved.digest,
        source,
        arch: parts.arch,
        kernel: debianBookworm.kernel,
        virtualBytes: made.virtualBytes,
        diskBytes: made.diskBytes,
        createdAtMs: parts.now(),
        managed: true,
        rootfsPath: `${target}/${made.file}`,
        run: resolved.run,
        blobs: resolved.blobs,
      },
      signal,
      () => publishDir(stagingDir, target),
    );
  } finally {
    await removeStaging(stagingDir, uid);
  }
}

async function publish(
  parts: ImageServiceParts,
  record: ImageRecord,
  signal: AbortSignal,
  place: () => Promise<unknown> = () => Promise.resolve(),
): Promise<ImageRecord> {
  return await parts.locks.hold("image_ops", "all", signal, async () => {
    const present = parts.images.find(record.name);
    if (present !== undefined && present.source !== record.source) {
      throw nameTakenBy(record.name, present.source);
    }
    await place();
    if (present?.digest === record.digest) return present;
    parts.images.publish(record);
    return record;
  });
}

function nameTaken(name: string, present: ImageRecord, reference: ImageReference): BangerError {
  return nameTakenBy(name, present.source, imageReferenceText(reference));
}

function nameTakenBy(name: string, source: string, asked = "the image"): BangerError {
  return new BangerError(
    "conflict",
    `Cannot pull ${asked} as "${name}": that image came from ${source}`,
    { hint: `Give it another name with --name, or: banger image delete ${name}` },
  );
}
