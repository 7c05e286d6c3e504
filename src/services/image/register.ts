import { debianBookworm } from "../../images/debian_bookworm.ts";
import type { ImageRecord } from "../../model/artefacts.ts";
import { BangerError, isBangerError } from "../../model/errors.ts";
import { imageRecipes } from "./catalog.ts";
import { chooseSource } from "./choose_source.ts";
import type { ImageServiceDeps } from "./contract.ts";
import { registeredDigest } from "./registered_file.ts";

/** What is registered. */
export interface RegisterRequest {
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  /** `null` takes the one that every image gets unless its source says otherwise. */
  readonly kernel: string | null;
}

/** File systems of guests are seen in whole blocks of this size. */
const blockBytes = 4096;

/**
 * Makes a file of the user's an image where it is: it is never written, copied or removed. The same
 * file again, also changed, takes the place of what was registered of it.
 *
 * @throws BangerError `conflict` when the name is another image's; `not_found` for a kernel; as
 * `examineRootfs`
 */
export async function registerImage(
  deps: ImageServiceDeps,
  { name, path, kernel }: RegisterRequest,
  signal: AbortSignal,
): Promise<ImageRecord> {
  if (Object.hasOwn(imageRecipes, name)) throw taken(name, "banger builds an image of that name");
  if (kernel !== null) await checkKernel(deps, kernel, signal);
  const file = await deps.rootfsFile(path);
  if (file.path.startsWith(`${deps.paths.imagesDir}/`)) {
    throw new BangerError("invalid", `Cannot register "${path}": it is a file of another image`, {
      hint: "banger image pull gives an image another name with --name",
    });
  }
  const record: ImageRecord = {
    name,
    digest: await registeredDigest(file),
    source: `file:${path}`,
    sourceReason: null,
    publication: null,
    arch: deps.arch,
    kernel: kernel ?? debianBookworm.kernel,
    virtualBytes: Math.ceil(file.bytes / blockBytes) * blockBytes,
    diskBytes: file.diskBytes,
    createdAtMs: deps.now(),
    managed: false,
    workSeed: null,
    rootfsPath: file.path,
    run: null,
    blobs: [],
  };
  return await deps.locks.hold("image_ops", "all", signal, () => {
    const present = deps.images.find(name);
    if (present !== undefined && (present.managed || present.source !== record.source)) {
      throw taken(name, `that image came from ${present.source}`);
    }
    if (present?.digest === record.digest && present.kernel === record.kernel) {
      return Promise.resolve(present);
    }
    deps.images.publish(record);
    if (present !== undefined) forgetUnused(deps, present, record);
    return Promise.resolve(record);
  });
}

/**
 * Forgets what was registered before `now` took its place, unless a VM was made of it. The caller
 * holds the `image_ops` lock.
 */
export function forgetUnused(
  deps: Pick<ImageServiceDeps, "images" | "vms">,
  { name, digest, managed }: ImageRecord,
  now: ImageRecord,
): void {
  const isUsed = deps.vms.list().some((vm) => vm.imageDigest === digest);
  if (!managed && !isUsed && digest !== now.digest) deps.images.delete(name, digest);
}

/** A kernel that no source has is refused now; whether one can be had is seen when a VM boots. */
async function checkKernel(
  deps: ImageServiceDeps,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  if (deps.kernels.find(name) !== undefined) return;
  const fromDebian = Object.keys(deps.kernelSource.names);
  try {
    await chooseSource(deps, { kind: "kernel", name, fromDebian }, signal);
  } catch (error) {
    if (!isBangerError(error, "unavailable")) throw error;
  }
}

function taken(name: string, state: string): BangerError {
  return new BangerError("conflict", `Cannot register image "${name}": ${state}`, {
    hint: "Choose another name",
  });
}
