import { cleanStaging } from "../../images/staging.ts";
import type { ArtefactStore, ImageServiceDeps } from "./contract.ts";
import { currentKit, currentKitFile } from "./ensure_kit.ts";

/**
 * Removes what a killed daemon left and what nothing refers to any more: staging directories,
 * versions that were replaced and that no VM uses, directories without a row, blobs of no image, kits but the current
 * one (a running VM has its kit open and keeps it). Called once in a daemon's life, before it works on images.
 */
export async function tidy(
  deps: Pick<ImageServiceDeps, "paths" | "uid" | "vms" | "images" | "kernels" | "registry">,
): Promise<void> {
  const { paths } = deps;
  await cleanStaging(paths.stagingDir, deps.uid);
  const vms = deps.vms.list();
  await tidyArtefacts(deps.images, paths.imagesDir, new Set(vms.map((vm) => vm.imageDigest)), {
    dirOf: (digest) => paths.artefactDir("image", digest),
  });
  await tidyArtefacts(deps.kernels, paths.kernelsDir, new Set(vms.map((vm) => vm.kernelDigest)), {
    dirOf: (digest) => paths.artefactDir("kernel", digest),
  });
  const images = [...deps.images.list(), ...deps.images.listSuperseded()];
  await deps.registry.collect(new Set(images.flatMap(({ blobs }) => blobs)));
  const kit = await currentKit(paths.kitsDir);
  await removeOthers(paths.kitsDir, new Set([currentKitFile, kit?.file ?? ""]));
}

async function tidyArtefacts(
  store: ArtefactStore<{ readonly name: string; readonly digest: string }>,
  parent: string,
  used: ReadonlySet<string>,
  { dirOf }: { readonly dirOf: (digest: string) => string },
): Promise<void> {
  for (const { name, digest } of store.listSuperseded()) {
    if (!used.has(digest)) store.delete(name, digest);
  }
  const kept = [...store.list(), ...store.listSuperseded()].map(({ digest }) => dirOf(digest));
  await removeOthers(parent, new Set(kept.map((dir) => dir.slice(dir.lastIndexOf("/") + 1))));
}

async function removeOthers(parent: string, kept: ReadonlySet<string>): Promise<void> {
  for await (const { name } of Deno.readDir(parent)) {
    if (!kept.has(name)) await Deno.remove(`${parent}/${name}`, { recursive: true });
  }
}
