import type { CatalogEntry } from "../../catalog/catalog.ts";
import { isFile } from "../../files/is_file.ts";
import { dropStaging, makeStaging } from "../../images/staging.ts";
import type { ImageRecord, KernelRecord, WorkSeed } from "../../model/artefacts.ts";
import { BangerError, isBangerError } from "../../model/errors.ts";
import type { StageReporter } from "../../model/stages.ts";
import type { SourceContext, StagedBundle } from "./contract.ts";
import type { ImageServiceParts } from "./image_service.ts";
import { adoptKit } from "./ensure_kit.ts";
import { placeArtefact, publishKernel, recordArtefact } from "./place_artefact.ts";

/** File in a kernel's directory that keeps `KernelSource.revision()` of when its initrd was made here. */
export const revisionFile = "revision";

/** Sources of which one takes another's place under the same name: both are of banger's choice. */
const ownSources = /^(catalog|debian-archive):/;

/** One entry of the catalog, and why it was chosen. */
export interface ChosenEntry {
  readonly entry: CatalogEntry;
  readonly reason: string;
}

/**
 * Makes the image of a catalog's bundle the current one of its name, and its kernel one of its own. What
 * is here already is not fetched again. Cancelled or failed at any point, nothing is left.
 *
 * @throws BangerError `conflict` when the name is an image's of another source, and as `pullBundle`
 */
export async function pullImageBundle(
  parts: ImageServiceParts,
  { entry, reason }: ChosenEntry,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<ImageRecord> {
  const { name } = entry;
  const present = parts.images.find(name);
  refuseForeign(present, entry);
  if (present?.publication?.bundle === `sha256:${entry.sha256}`) {
    const kernel = parts.kernels.find(present.kernel);
    const whole = await isFile(present.rootfsPath) && kernel !== undefined &&
      await isFile(kernel.vmlinuxPath);
    if (whole) return nothingNewer(present, reporter);
  }
  return await withBundle(parts, entry, present, reporter, signal, async (staged, dirs, seed) => {
    const { rootfs, publication } = staged;
    if (rootfs === null) throw new Error("an image's bundle has no root file system");
    refuseForeign(parts.images.find(name), entry);
    // The kernel first: an image whose kernel is missing would be half of one.
    await publishBundleKernel(parts, staged, dirs.kernel, { entry, reason }, reporter);
    if (staged.kit !== null) await adoptKit(parts, dirs.staging, staged.kit);
    const target = parts.paths.artefactDir("image", publication.bundle);
    await placeArtefact(dirs.staging, target, rootfs.file);
    const record: ImageRecord = {
      name,
      workSeed: seed === null ? null : { ...seed, path: `${target}/${seed.path}` },
      digest: publication.bundle,
      source: parts.catalog.source,
      sourceReason: reason,
      publication,
      arch: parts.arch,
      kernel: staged.kernel.name,
      virtualBytes: rootfs.virtualBytes,
      diskBytes: rootfs.diskBytes,
      createdAtMs: parts.now(),
      managed: true,
      rootfsPath: `${target}/${rootfs.file}`,
      run: null,
      blobs: [],
    };
    await recordArtefact(parts.images, record, target);
    return record;
  });
}

/**
 * Makes the kernel of a catalog's bundle the current one of its name; otherwise as
 * {@linkcode pullImageBundle}.
 *
 * @throws BangerError as `pullBundle`
 */
export async function pullKernelBundle(
  parts: ImageServiceParts,
  { entry, reason }: ChosenEntry,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<KernelRecord> {
  const { name } = entry;
  const present = parts.kernels.find(name);
  refuseForeign(present, entry);
  if (
    present?.publication?.bundle === `sha256:${entry.sha256}` && await isFile(present.vmlinuxPath)
  ) {
    return nothingNewer(present, reporter);
  }
  return await withBundle(parts, entry, present, reporter, signal, async (staged, dirs) => {
    if (staged.kernel.name !== name) throw otherKernel(entry, staged);
    return await publishKernel(parts, dirs.kernel, staged.kernel, said(parts, staged, reason));
  });
}

/**
 * Makes what banger adds to a catalog's kernel anew, of what is here; several at once share it.
 *
 * @throws BangerError `precondition`, `cancelled`
 */
export async function refitKernel(
  parts: ImageServiceParts,
  kernel: KernelRecord,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<KernelRecord> {
  return await parts.kernelPulls.share(kernel.name, reporter, signal, async (_shared, stop) => {
    const stagingDir = await makeStaging(parts.paths.stagingDir, "kernel");
    try {
      const staged = await parts.catalog.refit(kernel, stagingDir, stop);
      const { name, format, commandLine, source, sourceReason, publication } = kernel;
      const same = { name, format, commandLine, source, sourceReason, publication };
      return await parts.locks.hold(
        "image_ops",
        "all",
        stop,
        () => publishKernel(parts, stagingDir, staged, same),
      );
    } finally {
      await dropStaging(stagingDir, parts.uid);
    }
  });
}

interface Dirs {
  readonly staging: string;
  readonly kernel: string;
}

/** Pulls into staging directories and runs `publish` under the lock; the directories are gone then. */
async function withBundle<T>(
  parts: ImageServiceParts,
  entry: CatalogEntry,
  present: Pick<ImageRecord, "publication"> | undefined,
  reporter: StageReporter,
  signal: AbortSignal,
  publish: (staged: StagedBundle, dirs: Dirs, seed: WorkSeed | null) => Promise<T>,
): Promise<T> {
  const { paths, uid, locks } = parts;
  await using undo = new AsyncDisposableStack();
  const stage = async (prefix: string) => {
    const dir = await makeStaging(paths.stagingDir, prefix);
    undo.defer(() => dropStaging(dir, uid));
    return dir;
  };
  const dirs: Dirs = { staging: await stage(entry.kind), kernel: await stage("kernel") };
  const staged = await parts.catalog.pull(entry, {
    stagingDir: dirs.staging,
    kernelStagingDir: dirs.kernel,
    notBeforeMs: present?.publication?.madeAtMs ?? null,
    reporter,
    signal,
  });
  const seed = await workSeedOf(parts, staged, entry.name, {
    stagingDir: dirs.staging,
    reporter,
    signal,
  });
  return await locks.hold("image_ops", "all", signal, () => publish(staged, dirs, seed));
}

/** The work disk of a bundle's seed; its path is a file name in the staging directory still. */
async function workSeedOf(
  { registry }: ImageServiceParts,
  { workSeed: tar }: StagedBundle,
  name: string,
  context: Omit<SourceContext, "mirror">,
): Promise<WorkSeed | null> {
  if (tar === null) return null;
  try {
    const { file, virtualBytes } = await registry.makeWorkSeed(tar, context);
    return { digest: tar.digest, path: file, virtualBytes };
  } catch (error) {
    if (!isBangerError(error, "untrusted")) throw error;
    const { bundleFault } = await import("../../bundles/bundle_fault.ts");
    const { message, code, detail } = error;
    throw bundleFault(name, tar.file, `no work disk can be made of it: ${message}`, {
      ...(code === undefined ? {} : { code }),
      ...(detail === undefined ? {} : { detail }),
      cause: error,
    });
  }
}

/**
 * Publishes the kernel that came with an image, unless there is one of its name that is as new, or that
 * does not come from a catalog: the user has that one for a reason.
 */
async function publishBundleKernel(
  parts: ImageServiceParts,
  staged: StagedBundle,
  dir: string,
  { entry, reason }: ChosenEntry,
  reporter: StageReporter,
): Promise<void> {
  const { kernel, publication } = staged;
  const present = parts.kernels.find(kernel.name);
  if (present !== undefined && await isFile(present.vmlinuxPath)) {
    if (present.digest === kernel.digest) return;
    if (present.publication === null) {
      reporter.notice(`Kernel ${kernel.name} stays the one from ${present.source}`);
      return;
    }
    if (present.publication.madeAtMs >= publication.madeAtMs) return;
  }
  const why = `it came with image ${entry.name}: ${reason}`;
  await publishKernel(parts, dir, kernel, said(parts, staged, why));
}

function said(parts: ImageServiceParts, staged: StagedBundle, sourceReason: string) {
  const { name, format, commandLine } = staged.kernel;
  const { publication } = staged;
  const { source } = parts.catalog;
  return { name, format, commandLine, publication, source, sourceReason };
}

function nothingNewer<T extends { readonly name: string }>(
  present: T,
  reporter: StageReporter,
): T {
  reporter.notice(`${present.name}: the catalog has nothing newer`);
  return present;
}

function refuseForeign(
  present: Pick<ImageRecord, "name" | "source"> | undefined,
  { kind }: CatalogEntry,
): void {
  if (present === undefined || ownSources.test(present.source)) return;
  const { name, source } = present;
  throw new BangerError(
    "conflict",
    `Cannot pull ${kind} "${name}" from the catalog: the ${kind} of that name came from ${source}`,
    { hint: `banger ${kind} delete ${name}` },
  );
}

function otherKernel(entry: CatalogEntry, staged: StagedBundle): BangerError {
  return new BangerError(
    "untrusted",
    `Cannot use bundle "${entry.name}": it is of kernel "${staged.kernel.name}"`,
    { code: "BUNDLE_MISMATCH" },
  );
}
