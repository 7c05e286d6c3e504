import { debianBookworm } from "../../images/debian_bookworm.ts";
import { isFile } from "../../files/is_file.ts";
import { publishDir } from "../../images/publish.ts";
import { dropStaging, makeStaging } from "../../images/staging.ts";
import type { ImageRecord } from "../../model/artefacts.ts";
import { BangerError } from "../../model/errors.ts";
import type { StageReporter } from "../../model/stages.ts";
import { recordArtefact } from "./place_artefact.ts";
import type { ResolvedRegistryImage } from "./contract.ts";
import type { ImageServiceParts } from "./image_service.ts";

/** Under which name, and from where, an image is wanted. */
export interface WantedImage {
  readonly name: string;
  /** The `source` of its record. */
  readonly source: string;
  /** How errors name it. */
  readonly asked: string;
}

/**
 * The image that is here already: the one of that `name`, or else any that came from there.
 *
 * @throws BangerError `conflict` when `name` is another image's
 */
export function findImageFrom(
  parts: Pick<ImageServiceParts, "images">,
  { name, source, asked }: Omit<WantedImage, "name"> & { readonly name: string | null },
): ImageRecord | undefined {
  if (name === null) return parts.images.list().find((image) => image.source === source);
  const present = parts.images.find(name);
  if (present === undefined || present.source === source) return present;
  throw nameTaken(name, present.source, asked);
}

/**
 * Makes an image of layers the current one of its name; when its file system is here already it is
 * not written again. Cancelled or failed at any point, nothing is left.
 *
 * @throws BangerError `conflict` when the name is another image's; what unpacking throws
 */
export async function publishOciImage(
  parts: ImageServiceParts,
  resolved: ResolvedRegistryImage,
  wanted: WantedImage,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<ImageRecord> {
  const { name, source } = wanted;
  const present = parts.images.findByDigest(resolved.digest);
  if (present !== undefined && present.managed && await isFile(present.rootfsPath)) {
    return await publish(parts, { ...present, name, source }, wanted, signal);
  }
  return await unpack(parts, resolved, wanted, reporter, signal);
}

async function unpack(
  parts: ImageServiceParts,
  resolved: ResolvedRegistryImage,
  wanted: WantedImage,
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
        name: wanted.name,
        digest: resolved.digest,
        source: wanted.source,
        sourceReason: null,
        publication: null,
        arch: parts.arch,
        kernel: debianBookworm.kernel,
        virtualBytes: made.virtualBytes,
        diskBytes: made.diskBytes,
        createdAtMs: parts.now(),
        managed: true,
        rootfsPath: `${target}/${made.file}`,
        workSeed: null,
        run: resolved.run,
        blobs: resolved.blobs,
      },
      wanted,
      signal,
      () => place(stagingDir, target, made.file),
    );
  } finally {
    await dropStaging(stagingDir, uid);
  }
}

/** A directory whose file somebody removed by hand is replaced. */
async function place(stagingDir: string, target: string, file: string): Promise<void> {
  if (await publishDir(stagingDir, target) || await isFile(`${target}/${file}`)) return;
  await Deno.remove(target, { recursive: true });
  await publishDir(stagingDir, target);
}

async function publish(
  parts: ImageServiceParts,
  record: ImageRecord,
  { asked }: WantedImage,
  signal: AbortSignal,
  placed: () => Promise<void> = () => Promise.resolve(),
): Promise<ImageRecord> {
  return await parts.locks.hold("image_ops", "all", signal, async () => {
    const present = parts.images.find(record.name);
    if (present !== undefined && present.source !== record.source) {
      throw nameTaken(record.name, present.source, asked);
    }
    await placed();
    if (present?.digest === record.digest) return present;
    await recordArtefact(parts.images, record, parts.paths.artefactDir("image", record.digest));
    return record;
  });
}

function nameTaken(name: string, source: string, asked: string): BangerError {
  return new BangerError(
    "conflict",
    `Cannot pull ${asked} as "${name}": that image came from ${source}`,
    { hint: `Give it another name with --name, or: banger image delete ${name}` },
  );
}
