import { isFile } from "../../files/is_file.ts";
import { isBangerError, reasonOf } from "../../model/errors.ts";
import type { ImageRecord, KernelRecord } from "../../model/artefacts.ts";
import type { StageReporter } from "../../model/stages.ts";
import type { ImageServiceParts } from "./image_service.ts";
import { pullImage, pullKernel } from "./pull.ts";
import { refitKernel, revisionFile } from "./pull_bundles.ts";
import { checkRegistered } from "./registered_file.ts";

/**
 * The current image `name`, pulled when it is not here (or its file was removed by hand). One that was
 * registered must be as it was.
 *
 * @throws BangerError as {@linkcode pullImage}
 */
export async function ensureImage(
  parts: ImageServiceParts,
  name: string,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<ImageRecord> {
  const present = parts.images.find(name);
  if (present?.managed === false) {
    await checkRegistered(parts, present);
    return present;
  }
  if (present !== undefined && await isFile(present.rootfsPath)) return present;
  return await pullImage(parts, name, reporter, signal);
}

/**
 * The current kernel `name`, pulled when it is not here. One whose initrd was written by another
 * version of banger is made again (its package is in the cache), or used with a notice when that is
 * not possible because the mirror cannot be reached.
 *
 * @throws BangerError as {@linkcode pullKernel}
 */
export async function ensureKernel(
  parts: ImageServiceParts,
  name: string,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<KernelRecord> {
  const present = parts.kernels.find(name);
  if (present === undefined || !await isFile(present.vmlinuxPath)) {
    return await pullKernel(parts, name, reporter, signal);
  }
  if (await isUpToDate(parts, present)) return present;
  if (present.publication !== null) return await refitKernel(parts, present, reporter, signal);
  try {
    return await pullKernel(parts, name, reporter, signal);
  } catch (error) {
    const passing = isBangerError(error, "unavailable") || isBangerError(error, "precondition") ||
      isBangerError(error, "not_found");
    if (!passing) throw error;
    reporter.notice(`Using kernel ${name} of an earlier version: ${reasonOf(error)}`);
    return present;
  }
}

/**
 * The kernel that image `image` boots, as {@linkcode ensureKernel}. One that only comes with the image
 * is brought with it again.
 *
 * @throws BangerError as {@linkcode pullKernel} and {@linkcode pullImage}
 */
export async function ensureKernelOf(
  parts: ImageServiceParts,
  image: ImageRecord,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<KernelRecord> {
  try {
    return await ensureKernel(parts, image.kernel, reporter, signal);
  } catch (error) {
    if (image.publication === null || !isBangerError(error, "not_found")) throw error;
    const { kernel } = await pullImage(parts, image.name, reporter, signal);
    const brought = parts.kernels.find(kernel);
    if (brought === undefined) throw error;
    return brought;
  }
}

async function isUpToDate(parts: ImageServiceParts, kernel: KernelRecord): Promise<boolean> {
  const dir = kernel.vmlinuxPath.slice(0, kernel.vmlinuxPath.lastIndexOf("/"));
  try {
    const revision = await Deno.readTextFile(`${dir}/${revisionFile}`);
    return revision === await parts.kernelSource.revision();
  } catch (error) {
    // A publisher's own initrd does not follow banger's.
    if (error instanceof Deno.errors.NotFound) return kernel.publication !== null;
    throw error;
  }
}
