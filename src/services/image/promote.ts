import { allocatedBytes, copyRootfs, digestOfFile } from "../../images/copy_rootfs.ts";
import { checkSpace } from "../../images/disk_space.ts";
import type { RootfsFile } from "../../images/examine_rootfs.ts";
import { isFile } from "../../files/is_file.ts";
import { recordArtefact } from "./place_artefact.ts";
import { publishDir } from "../../images/publish.ts";
import { dropStaging, makeStaging } from "../../images/staging.ts";
import type { ImageRecord } from "../../model/artefacts.ts";
import { BangerError } from "../../model/errors.ts";
import type { StageReporter } from "../../model/stages.ts";
import { imageRecipes, unknownArtefact } from "./catalog.ts";
import type { ImageServiceParts } from "./image_service.ts";
import { forgetUnused } from "./register.ts";
import { checkRegistered } from "./registered_file.ts";

const rootfsFile = "rootfs.ext4";

/**
 * Copies the file of an unmanaged image into banger's own directory, where nothing changes it any
 * more. VMs of the image as it was registered keep its file. Several at once share one copy;
 * cancelled or failed at any point, nothing is left. A managed image stays as it is.
 *
 * @throws BangerError `not_found`, `precondition` when the file is not the one that was registered,
 * `conflict` when image or file change meanwhile, `exhausted`, `cancelled`
 */
export async function promoteImage(
  parts: ImageServiceParts,
  name: string,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<ImageRecord> {
  const image = parts.images.find(name);
  if (image === undefined) {
    const present = parts.images.list().map((each) => each.name);
    throw unknownArtefact("promote", "image", name, present, Object.keys(imageRecipes));
  }
  if (image.managed) {
    reporter.notice(`Image ${name} is managed already`);
    return image;
  }
  return await parts.imagePulls.share(`promote ${name}`, reporter, signal, async (shared, stop) => {
    const stagingDir = await makeStaging(parts.paths.stagingDir, "image");
    try {
      const file = await checkRegistered(parts, image);
      const copied = await copy(file, stagingDir, shared, stop);
      await unchanged(parts, image);
      return await publish(parts, image, { stagingDir, ...copied }, stop);
    } finally {
      await dropStaging(stagingDir, parts.uid);
    }
  });
}

async function copy(
  file: RootfsFile,
  stagingDir: string,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<{ readonly digest: string; readonly diskBytes: number }> {
  const to = `${stagingDir}/${rootfsFile}`;
  await checkSpace(`copy "${file.path}"`, stagingDir, file.diskBytes, signal);
  await reporter.stage(
    { id: "image.copy", title: `Copying ${file.path}` },
    (progress) =>
      copyRootfs(
        file.path,
        to,
        file.diskBytes,
        (done, all) => progress(done, all, "bytes"),
        signal,
      ),
  );
  const digest = await reporter.stage(
    { id: "image.digest", title: "Computing its digest" },
    (progress) => digestOfFile(to, (done, all) => progress(done, all, "bytes"), signal),
  );
  return { digest, diskBytes: await allocatedBytes(to) };
}

/** A file that was written while it was copied is none of any moment. */
async function unchanged(parts: ImageServiceParts, image: ImageRecord): Promise<void> {
  try {
    await checkRegistered(parts, image);
  } catch (cause) {
    throw new BangerError(
      "conflict",
      `Cannot promote image "${image.name}": "${image.rootfsPath}" has changed while it was copied`,
      { hint: "Let whatever writes to it end, and register it again", cause },
    );
  }
}

interface Copied {
  readonly stagingDir: string;
  readonly digest: string;
  readonly diskBytes: number;
}

async function publish(
  parts: ImageServiceParts,
  image: ImageRecord,
  { stagingDir, digest, diskBytes }: Copied,
  signal: AbortSignal,
): Promise<ImageRecord> {
  const { locks, images, paths } = parts;
  return await locks.hold("image_ops", "all", signal, async () => {
    const present = images.find(image.name);
    if (present?.digest !== image.digest) {
      throw new BangerError(
        "conflict",
        `Cannot promote image "${image.name}": it was changed or deleted meanwhile`,
        { hint: `banger image show ${image.name}` },
      );
    }
    const target = paths.artefactDir("image", digest);
    const rootfsPath = `${target}/${rootfsFile}`;
    if (!await publishDir(stagingDir, target) && !await isFile(rootfsPath)) {
      await Deno.remove(target, { recursive: true });
      await publishDir(stagingDir, target);
    }
    const { kernel } = present;
    const createdAtMs = parts.now();
    const record = { ...image, kernel, digest, diskBytes, createdAtMs, managed: true, rootfsPath };
    await recordArtefact(images, record, target);
    try {
      forgetUnused(parts, image, record);
    } catch {
      // The image is promoted; the row is removed at the next start of the daemon (`tidy.ts`).
    }
    return record;
  });
}
