import { checkSpace } from "../../images/disk_space.ts";
import { manifestFile } from "../../images/debian_image.ts";
import { isFile } from "../../images/is_file.ts";
import { publishDir } from "../../images/publish.ts";
import { makeStaging, removeStaging } from "../../images/staging.ts";
import type { ImageRecord, KernelRecord } from "../../model/artefacts.ts";
import type { StageReporter } from "../../model/stages.ts";
import { imageRecipes, unknownArtefact } from "./catalog.ts";
import type { StagedKernel } from "./contract.ts";
import type { ImageServiceParts } from "./image_service.ts";
import { downloadsLimitBytes, pruneDownloads } from "./prune_downloads.ts";

/** File in a kernel's directory that keeps `KernelSource.revision()` of when it was made. */
export const revisionFile = "revision";

/** Unpacking a kernel takes less: its modules are there as files and as a file system for a while. */
const kernelNeededBytes = 400 * 1024 ** 2;

/**
 * Builds image `name` anew and makes it the current one; VMs of the one before keep that. Several at
 * once share one build. Cancelled or failed at any point, nothing is left.
 *
 * @throws BangerError `not_found`, and as {@linkcode buildDebianImage}
 */
export async function pullImage(
  parts: ImageServiceParts,
  name: string,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<ImageRecord> {
  const recipe = Object.hasOwn(imageRecipes, name) ? imageRecipes[name] : undefined;
  if (recipe === undefined) {
    const present = parts.images.list().map((image) => image.name);
    throw unknownArtefact("pull", "image", name, present, Object.keys(imageRecipes));
  }
  const { paths, uid } = parts;
  return await parts.imagePulls.share(name, reporter, signal, async (shared, stop) => {
    const stagingDir = await makeStaging(paths.stagingDir, "image");
    try {
      const mirror = await parts.mirror(recipe.suite);
      const built = await parts.buildImage({
        ...{ recipe, mirror, stagingDir, uid, reporter: shared, signal: stop },
        ...{ keyring: parts.keyring, proxyEnv: parts.proxyEnv, uuid: parts.newUuid() },
      });
      return await parts.locks.hold("image_ops", "all", stop, async () => {
        const same = await sameContents(parts.images.find(name), built.manifest);
        if (same !== undefined) return same;
        const target = paths.artefactDir("image", built.digest);
        await publishDir(stagingDir, target);
        const record: ImageRecord = {
          name,
          digest: built.digest,
          source: `debian-archive:${recipe.suite}`,
          arch: parts.arch,
          kernel: recipe.kernel,
          virtualBytes: built.virtualBytes,
          diskBytes: built.diskBytes,
          createdAtMs: parts.now(),
          managed: true,
          rootfsPath: `${target}/${baseName(built.rootfsPath)}`,
          run: null,
          blobs: [],
        };
        parts.images.publish(record);
        return record;
      });
    } finally {
      await removeStaging(stagingDir, uid);
    }
  });
}

/**
 * Fetches kernel `name` anew and makes it the current one; otherwise as {@linkcode pullImage}.
 *
 * @throws BangerError `not_found`, and what the source throws
 */
export async function pullKernel(
  parts: ImageServiceParts,
  name: string,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<KernelRecord> {
  const { paths, uid, kernelSource } = parts;
  const known = Object.hasOwn(kernelSource.names, name) ? kernelSource.names[name] : undefined;
  if (known === undefined) {
    const present = parts.kernels.list().map((kernel) => kernel.name);
    throw unknownArtefact("pull", "kernel", name, present, Object.keys(kernelSource.names));
  }
  return await parts.kernelPulls.share(name, reporter, signal, async (shared, stop) => {
    const stagingDir = await makeStaging(paths.stagingDir, "kernel");
    try {
      await checkSpace(`pull kernel "${name}"`, stagingDir, kernelNeededBytes, stop);
      const mirror = await parts.mirror(known.suite);
      const context = { mirror, stagingDir, reporter: shared, signal: stop };
      const staged = await kernelSource.pull(name, context);
      await Deno.writeTextFile(`${stagingDir}/${revisionFile}`, await kernelSource.revision());
      const diskBytes = await bytesOnDisk(stagingDir);
      const record = await parts.locks.hold("image_ops", "all", stop, async () => {
        const target = paths.artefactDir("kernel", staged.digest);
        if (!await publishDir(stagingDir, target) && !await isFile(`${target}/${staged.vmlinux}`)) {
          await Deno.remove(target, { recursive: true });
          await publishDir(stagingDir, target);
        }
        const record: KernelRecord = {
          name,
          digest: staged.digest,
          version: staged.version,
          source: `debian-archive:${known.suite}`,
          arch: parts.arch,
          createdAtMs: parts.now(),
          diskBytes,
          ...pathsOf(staged, target),
        };
        parts.kernels.publish(record);
        return record;
      });
      await pruneDownloads(paths.downloadsDir, downloadsLimitBytes, parts.now());
      return record;
    } finally {
      await removeStaging(stagingDir, uid);
    }
  });
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

function pathsOf(staged: StagedKernel, dir: string) {
  const at = (file: string | null) => file === null ? null : `${dir}/${file}`;
  return {
    vmlinuxPath: `${dir}/${staged.vmlinux}`,
    initrdPath: at(staged.initrd),
    modulesPath: at(staged.modules),
    probeInitrdPath: at(staged.probeInitrd),
  };
}

async function bytesOnDisk(dir: string): Promise<number> {
  let bytes = 0;
  for await (const entry of Deno.readDir(dir)) {
    const { blocks, size } = await Deno.lstat(`${dir}/${entry.name}`);
    bytes += blocks === null ? size : blocks * 512;
  }
  return bytes;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
