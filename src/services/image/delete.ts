import { BangerError, reasonOf } from "../../model/errors.ts";
import { imageRecipes, unknownArtefact } from "./catalog.ts";
import type { ArtefactStore, ImageServiceDeps } from "./contract.ts";
import { usersOf } from "./views.ts";

/**
 * Deletes image `name`, every version of it.
 *
 * @throws BangerError `not_found`, `conflict` while a VM uses it
 */
export async function deleteImage(
  deps: ImageServiceDeps,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  await deleteArtefact(deps, deps.images, "image", name, Object.keys(imageRecipes), signal);
  const left = [...deps.images.list(), ...deps.images.listSuperseded()];
  // The image is deleted: blobs that stay are collected at the next start of the daemon.
  await deps.registry.collect(new Set(left.flatMap(({ blobs }) => blobs))).catch(() => {});
}

/**
 * Deletes kernel `name`, every version of it.
 *
 * @throws BangerError `not_found`, `conflict` while a VM uses it
 */
export async function deleteKernel(
  deps: ImageServiceDeps,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const pullable = Object.keys(deps.kernelSource.names);
  await deleteArtefact(deps, deps.kernels, "kernel", name, pullable, signal);
}

async function deleteArtefact(
  deps: ImageServiceDeps,
  store: ArtefactStore<{ readonly name: string; readonly digest: string }>,
  noun: "image" | "kernel",
  name: string,
  pullable: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  await deps.locks.hold("image_ops", "all", signal, async () => {
    const all = [...store.list(), ...store.listSuperseded()];
    const versions = all.filter((each) => each.name === name);
    if (versions.length === 0) {
      throw unknownArtefact("delete", noun, name, all.map((each) => each.name), pullable);
    }
    const users = usersOf(deps, noun).get(name) ?? [];
    if (users.length > 0) throw inUse(noun, name, users);
    // Rows first: a directory without a row is removed at the next start, if this is cut short.
    for (const { digest } of versions) store.delete(name, digest);
    for (const { digest } of versions) {
      if (store.findByDigest(digest) === undefined) {
        await removeFiles(noun, name, deps.paths.artefactDir(noun, digest));
      }
    }
  });
}

function inUse(noun: "image" | "kernel", name: string, users: readonly string[]): BangerError {
  const shown = users.slice(0, 5).join(", ") + (users.length > 5 ? ", …" : "");
  const by = users.length === 1 ? `VM ${shown} uses it` : `${users.length} VMs use it: ${shown}`;
  return new BangerError("conflict", `Cannot delete ${noun} "${name}": ${by}`, {
    hint: `banger vm delete ${users[0]}`,
  });
}

async function removeFiles(noun: string, name: string, dir: string): Promise<void> {
  try {
    await Deno.remove(dir, { recursive: true });
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return;
    throw new BangerError(
      "internal",
      `Cannot remove the files of ${noun} "${name}": ${reasonOf(cause)}`,
      { hint: `The ${noun} is deleted; banger image prune removes what is left of it`, cause },
    );
  }
}
