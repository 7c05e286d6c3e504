import { checkSpace } from "../../images/disk_space.ts";
import { manifestFile } from "../../images/debian_image.ts";
import type { ImageRecipe } from "../../images/image_recipe.ts";
import { isFile } from "../../files/is_file.ts";
import { publishDir } from "../../images/publish.ts";
import { dropStaging, makeStaging } from "../../images/staging.ts";
import type { ImageRecord, KernelRecord } from "../../model/artefacts.ts";
import type { StageReporter } from "../../model/stages.ts";
import { imageRecipes } from "./catalog.ts";
import {
  builtInSource,
  choiceNotice,
  chooseInstead,
  chooseSource,
  type SourceChoice,
  type Wanted,
} from "./choose_source.ts";
import type { ImageServiceParts } from "./image_service.ts";
import { refuseOtherSource } from "./other_sources.ts";
import { publishKernel, recordArtefact } from "./place_artefact.ts";
import { pullImageBundle, pullKernelBundle, revisionFile } from "./pull_bundles.ts";
import { downloadsLimitBytes, pruneDownloads } from "./prune_downloads.ts";

/** Unpacking a kernel takes less: its modules are there as files and as a file system for a while. */
const kernelNeededBytes = 400 * 1024 ** 2;

/** What the sources are asked for when image `name` is. */
export function wantedImage(name: string): Wanted {
  return { kind: "image", name, fromDebian: Object.keys(imageRecipes) };
}

/**
 * Brings image `name` anew, from the catalog or else built from the Debian archive, and makes it the current
 * one; VMs of the one before keep that. Several at once share one pull. Cancelled or failed at any
 * point, nothing is left.
 *
 * @throws BangerError `not_found`, and as {@linkcode chooseSource}, {@linkcode pullImageBundle} and
 * {@linkcode buildDebianImage}
 */
export async function pullImage(
  parts: ImageServiceParts,
  name: string,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<ImageRecord> {
  refuseOtherSource(parts.images.find(name));
  const wanted = wantedImage(name);
  return await parts.imagePulls.share(
    name,
    reporter,
    signal,
    async (shared, stop) =>
      await fromChosen(parts, wanted, shared, stop, {
        bundle: (chosen) => pullImageBundle(parts, chosen, shared, stop),
        debian: (reason) => buildImage(parts, imageRecipes[name]!, reason, shared, stop),
      }),
  );
}

/**
 * Brings kernel `name` anew and makes it the current one; otherwise as {@linkcode pullImage}.
 *
 * @throws BangerError `not_found`, and what the sources throw
 */
export async function pullKernel(
  parts: ImageServiceParts,
  name: string,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<KernelRecord> {
  const wanted: Wanted = {
    kind: "kernel",
    name,
    fromDebian: Object.keys(parts.kernelSource.names),
  };
  return await parts.kernelPulls.share(
    name,
    reporter,
    signal,
    async (shared, stop) =>
      await fromChosen(parts, wanted, shared, stop, {
        bundle: (chosen) => pullKernelBundle(parts, chosen, shared, stop),
        debian: (reason) => fetchKernel(parts, name, reason, shared, stop),
      }),
  );
}

/** Takes it from the first source that has it, and tells which and why. */
async function fromChosen<T>(
  parts: ImageServiceParts,
  wanted: Wanted,
  reporter: StageReporter,
  signal: AbortSignal,
  pull: {
    readonly bundle: (chosen: Extract<SourceChoice, { from: "bundle" }>) => Promise<T>;
    readonly debian: (reason: string) => Promise<T>;
  },
): Promise<T> {
  const choosing = () => chooseSource(parts, wanted, signal);
  // One that is built in is there; another may take a while to answer, or not to.
  let choice = parts.catalog.source === builtInSource ? await choosing() : await reporter.stage(
    { id: `catalog.${wanted.kind}`, title: `Looking for ${wanted.name} in the catalog` },
    choosing,
  );
  reporter.notice(choiceNotice(wanted, choice));
  if (choice.from === "bundle") {
    try {
      return await pull.bundle(choice);
    } catch (error) {
      choice = chooseInstead(parts, wanted, error);
      reporter.notice(choiceNotice(wanted, choice));
    }
  }
  return await pull.debian(choice.reason);
}

async function buildImage(
  parts: ImageServiceParts,
  recipe: ImageRecipe,
  reason: string,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<ImageRecord> {
  const { paths, uid } = parts;
  const { name } = recipe;
  const stagingDir = await makeStaging(paths.stagingDir, "image");
  try {
    const mirror = await parts.mirror(recipe.suite);
    const built = await parts.buildImage({
      ...{ recipe, mirror, stagingDir, uid, reporter, signal },
      ...{ keyring: parts.keyring, proxyEnv: parts.proxyEnv, uuid: parts.newUuid() },
    });
    return await parts.locks.hold("image_ops", "all", signal, async () => {
      const same = await sameContents(parts.images.find(name), built.manifest);
      if (same !== undefined) return same;
      const target = paths.artefactDir("image", built.digest);
      await publishDir(stagingDir, target);
      const record: ImageRecord = {
        name,
        digest: built.digest,
        source: `debian-archive:${recipe.suite}`,
        sourceReason: reason,
        publication: null,
        arch: parts.arch,
        kernel: recipe.kernel,
        virtualBytes: built.virtualBytes,
        diskBytes: built.diskBytes,
        createdAtMs: parts.now(),
        managed: true,
        rootfsPath: `${target}/${baseName(built.rootfsPath)}`,
        workSeed: null,
        run: null,
        blobs: [],
      };
      await recordArtefact(parts.images, record, target);
      return record;
    });
  } finally {
    await dropStaging(stagingDir, uid);
  }
}

async function fetchKernel(
  parts: ImageServiceParts,
  name: string,
  reason: string,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<KernelRecord> {
  const { paths, uid, kernelSource } = parts;
  const { suite } = kernelSource.names[name]!;
  const stagingDir = await makeStaging(paths.stagingDir, "kernel");
  try {
    await checkSpace(`pull kernel "${name}"`, stagingDir, kernelNeededBytes, signal);
    const mirror = await parts.mirror(suite);
    const staged = await kernelSource.pull(name, { mirror, stagingDir, reporter, signal });
    await Deno.writeTextFile(`${stagingDir}/${revisionFile}`, await kernelSource.revision());
    const record = await parts.locks.hold(
      "image_ops",
      "all",
      signal,
      () =>
        publishKernel(parts, stagingDir, staged, {
          name,
          format: parts.arch === "aarch64" ? "Image" : "bzImage",
          commandLine: [],
          source: `debian-archive:${suite}`,
          sourceReason: reason,
          publication: null,
        }),
    );
    await pruneDownloads(paths.downloadsDir, downloadsLimitBytes, parts.now());
    return record;
  } finally {
    await dropStaging(stagingDir, uid);
  }
}

/** The image that is here already, when a new build would bring nothing new. */
async function sameContents(
  present: ImageRecord | undefined,
  manifest: string,
): Promise<ImageRecord | undefined> {
  if (present === undefined || !await isFile(present.rootfsPath)) return undefined;
  const dir = present.rootfsPath.slice(0, present.rootfsPath.lastIndexOf("/"));
  return await isFile(`${dir}/${manifestFile}`) &&
      await Deno.readTextFile(`${dir}/${manifestFile}`) === manifest
    ? present
    : undefined;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
