import type { ImageView, KernelView } from "../../api/artefacts.ts";
import type { ImageRecord, KernelRecord } from "../../model/artefacts.ts";
import { imageRecipes, unknownArtefact } from "./catalog.ts";
import type { ImageServiceDeps } from "./contract.ts";

/** The current images by name, with the names of the VMs that use them. */
export function listImages(deps: ImageServiceDeps): ImageView[] {
  const users = usersOf(deps, "image");
  return deps.images.list().map((image) => imageView(image, users));
}

/** @throws BangerError `not_found` */
export function showImage(deps: ImageServiceDeps, name: string): ImageView {
  const image = deps.images.find(name);
  if (image !== undefined) return imageView(image, usersOf(deps, "image"));
  const present = deps.images.list().map((each) => each.name);
  throw unknownArtefact("show", "image", name, present, Object.keys(imageRecipes));
}

/** The current kernels by name, with the names of the VMs that use them. */
export function listKernels(deps: ImageServiceDeps): KernelView[] {
  const users = usersOf(deps, "kernel");
  return deps.kernels.list().map((kernel) => kernelView(kernel, users));
}

/** @throws BangerError `not_found` */
export function showKernel(deps: ImageServiceDeps, name: string): KernelView {
  const kernel = deps.kernels.find(name);
  if (kernel !== undefined) return kernelView(kernel, usersOf(deps, "kernel"));
  const present = deps.kernels.list().map((each) => each.name);
  throw unknownArtefact("show", "kernel", name, present, Object.keys(deps.kernelSource.names));
}

/** Names of the VMs that use an image (a kernel) of a name, whichever version of it; sorted. */
export function usersOf(
  deps: Pick<ImageServiceDeps, "vms">,
  noun: "image" | "kernel",
): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const { config } of deps.vms.list()) {
    const names = users.get(config[noun]) ?? [];
    names.push(config.name);
    users.set(config[noun], names);
  }
  for (const names of users.values()) names.sort();
  return users;
}

function imageView(image: ImageRecord, users: Map<string, string[]>): ImageView {
  const { name, digest, source, arch, kernel, virtualBytes, diskBytes, createdAtMs, managed } =
    image;
  const { rootfsPath, run, sourceReason, publication, workSeed } = image;
  const usedBy = users.get(name) ?? [];
  return {
    name,
    digest,
    source,
    sourceReason,
    publication,
    arch,
    kernel,
    virtualBytes,
    diskBytes,
    // Both need the disk to be looked at: see `disk_use.ts`.
    blobBytes: 0,
    sharedBytes: 0,
    createdAtMs,
    managed,
    rootfsPath,
    workSeed: workSeed === null
      ? null
      : { digest: workSeed.digest, virtualBytes: workSeed.virtualBytes },
    run: run === null
      ? null
      : { ...run, env: [...run.env], entrypoint: [...run.entrypoint], cmd: [...run.cmd] },
    usedBy,
  };
}

function kernelView(kernel: KernelRecord, users: Map<string, string[]>): KernelView {
  const { name, digest, version, format, source, sourceReason, publication } = kernel;
  const { arch, diskBytes, createdAtMs } = kernel;
  const commandLine = [...kernel.commandLine];
  const usedBy = users.get(name) ?? [];
  return {
    ...{ name, digest, version, format, commandLine, source, sourceReason, publication },
    ...{ arch, diskBytes, createdAtMs, usedBy },
  };
}
