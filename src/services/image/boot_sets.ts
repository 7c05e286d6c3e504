import type { ImageRecord, KernelRecord } from "../../model/artefacts.ts";
import { BangerError, isBangerError } from "../../model/errors.ts";
import type { StageReporter } from "../../model/stages.ts";
import type { VmRecord } from "../../model/vm.ts";
import { imageRecipes } from "./catalog.ts";
import { chooseSource } from "./choose_source.ts";
import { ensureImage, ensureKernel, ensureKernelOf } from "./ensure.ts";
import { currentKit, ensureKit } from "./ensure_kit.ts";
import { checkRegistered } from "./registered_file.ts";
import type { ImageServiceParts } from "./image_service.ts";
import { wantedImage } from "./pull.ts";

/** Everything that a VM boots from. */
export interface WholeBootSet {
  readonly image: ImageRecord;
  readonly kernel: KernelRecord;
  /** The guest kit's disk. */
  readonly kitPath: string;
}

/**
 * The boot set of a new VM; what is missing is pulled, all at once. `kernel` `null` takes the
 * image's own. When one pull fails the others stop.
 *
 * @throws BangerError `not_found`, and what the pulls throw
 */
export async function ensureBootSet(
  parts: ImageServiceParts,
  image: string,
  kernel: string | null,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<WholeBootSet> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const watched = async <T>(pull: Promise<T>) => {
    try {
      return await pull;
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  };
  const imagePull = watched(ensureImage(parts, image, reporter, either));
  const kernelPull = watched((async () => {
    const early = kernel ?? await earlyKernel(parts, image, either);
    if (early !== null) return await ensureKernel(parts, early, reporter, either);
    return await ensureKernelOf(parts, await imagePull, reporter, either);
  })());
  const kitPull = watched(ensureKitOrWait(parts, image, imagePull, reporter, either));
  // All have ended, and cleaned up, before the answer.
  await Promise.allSettled([imagePull, kernelPull, kitPull]);
  signal.throwIfAborted();
  if (failed.signal.aborted) throw failed.signal.reason;
  return { image: await imagePull, kernel: await kernelPull, kitPath: await kitPull };
}

/** As {@linkcode ensureKit}; where it cannot be built, a catalog's image may bring it. */
async function ensureKitOrWait(
  parts: ImageServiceParts,
  image: string,
  imagePull: Promise<ImageRecord>,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<string> {
  // Before the pull has its end, and the choice with it another one.
  const choice = parts.images.find(image) === undefined
    ? await chooseSource(parts, wantedImage(image), signal)
    : null;
  try {
    return await ensureKit(parts, reporter, signal);
  } catch (error) {
    const passing = isBangerError(error, "unavailable") || isBangerError(error, "precondition");
    if (!passing || choice?.from !== "bundle") throw error;
    await imagePull;
    const kit = await currentKit(parts.paths.kitsDir);
    if (kit?.key !== await parts.kitSource.key()) throw error;
    return `${parts.paths.kitsDir}/${kit.file}`;
  }
}

/** The kernel that an image from the Debian archive will need; `null` when the image brings its own. */
async function earlyKernel(
  parts: ImageServiceParts,
  image: string,
  signal: AbortSignal,
): Promise<string | null> {
  if (parts.images.find(image) !== undefined) return null;
  const choice = await chooseSource(parts, wantedImage(image), signal);
  return choice.from === "debian" ? imageRecipes[image]!.kernel : null;
}

/**
 * The boot set that an existing VM was made with, and this installation's kit (of which the last one
 * that was built is good enough to start it).
 *
 * @throws BangerError `precondition` when a part is gone
 */
export async function findBootSet(
  parts: ImageServiceParts,
  vm: Pick<VmRecord, "config" | "imageDigest" | "kernelDigest">,
): Promise<WholeBootSet> {
  const image = parts.images.findByDigest(vm.imageDigest);
  const kernel = parts.kernels.findByDigest(vm.kernelDigest);
  if (image === undefined || kernel === undefined) {
    throw gone(vm, { image: image === undefined, kernel: kernel === undefined });
  }
  if (!image.managed) await checkRegistered(parts, image);
  const silent: StageReporter = { stage: (_, body) => body(() => {}), notice: () => {} };
  const kitPath = await ensureKit(parts, silent, new AbortController().signal);
  return { image, kernel, kitPath };
}

function gone(
  { config }: Pick<VmRecord, "config">,
  isGone: { readonly image: boolean; readonly kernel: boolean },
): BangerError {
  const { name } = config;
  const parts = [
    ...(isGone.image ? [`the image "${config.image}"`] : []),
    ...(isGone.kernel ? [`the kernel "${config.kernel}"`] : []),
  ];
  return new BangerError(
    "precondition",
    `Cannot start VM "${name}": ${parts.join(" and ")} that it was made from ${
      parts.length > 1 ? "are" : "is"
    } gone`,
    {
      hint: `banger vm reset --force --image ${config.image} ${name} keeps its work disk; ` +
        `banger vm delete ${name}`,
    },
  );
}
