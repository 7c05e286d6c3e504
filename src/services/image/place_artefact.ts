import { isFile } from "../../files/is_file.ts";
import { publishDir } from "../../images/publish.ts";
import type { KernelRecord } from "../../model/artefacts.ts";
import type { ImageServiceParts } from "./image_service.ts";
import type { ArtefactStore, StagedKernel } from "./contract.ts";

/**
 * Moves a staging directory to its place; one that is there already stands, unless somebody has removed
 * its `file`. The caller holds `image_ops`.
 */
export async function placeArtefact(
  stagingDir: string,
  target: string,
  file: string,
): Promise<void> {
  if (await publishDir(stagingDir, target) || await isFile(`${target}/${file}`)) return;
  await Deno.remove(target, { recursive: true });
  await publishDir(stagingDir, target);
}

/**
 * Makes what was moved to `dir` the current one of its name. When the store cannot say so, nothing is left
 * of it. The caller holds `image_ops`.
 */
export async function recordArtefact<R extends { readonly name: string; readonly digest: string }>(
  store: ArtefactStore<R>,
  record: R,
  dir: string,
): Promise<void> {
  try {
    store.publish(record);
  } catch (error) {
    if (store.findByDigest(record.digest) === undefined) {
      // What cannot be removed now is at the next start of the daemon.
      await Deno.remove(dir, { recursive: true }).catch(() => {});
    }
    throw error;
  }
}

/**
 * Moves a kernel to its place and makes it the current one of its name. The caller holds `image_ops`.
 */
export async function publishKernel(
  parts: Pick<ImageServiceParts, "paths" | "kernels" | "arch" | "now">,
  stagingDir: string,
  staged: StagedKernel,
  said: Pick<
    KernelRecord,
    "name" | "format" | "commandLine" | "source" | "sourceReason" | "publication"
  >,
): Promise<KernelRecord> {
  const diskBytes = await bytesOnDisk(stagingDir);
  const dir = parts.paths.artefactDir("kernel", staged.digest);
  await placeArtefact(stagingDir, dir, staged.vmlinux);
  const at = (file: string | null) => file === null ? null : `${dir}/${file}`;
  const record: KernelRecord = {
    ...said,
    digest: staged.digest,
    version: staged.version,
    arch: parts.arch,
    createdAtMs: parts.now(),
    diskBytes,
    vmlinuxPath: `${dir}/${staged.vmlinux}`,
    initrdPath: at(staged.initrd),
    modulesPath: at(staged.modules),
    probeInitrdPath: at(staged.probeInitrd),
  };
  await recordArtefact(parts.kernels, record, dir);
  return record;
}

async function bytesOnDisk(dir: string): Promise<number> {
  let bytes = 0;
  for await (const entry of Deno.readDir(dir)) {
    const { blocks, size } = await Deno.lstat(`${dir}/${entry.name}`);
    bytes += blocks === null ? size : blocks * 512;
  }
  return bytes;
}
