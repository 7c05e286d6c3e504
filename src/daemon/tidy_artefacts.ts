import { registryImages } from "../services/image/registry_images.ts";
import { tidy } from "../services/image/tidy.ts";
import { registryOptions } from "./registry_options.ts";
import type { ServiceDeps } from "./service_deps.ts";

/**
 * Removes what a killed daemon left of images and kernels; see {@linkcode tidy}. Runs once, before anything else works on
 * them and behind the first answer, and loads no more of the image service's code than that takes.
 */
export async function tidyArtefacts(deps: ServiceDeps): Promise<void> {
  await tidy({
    images: deps.store.images,
    kernels: deps.store.kernels,
    vms: deps.store.vms,
    paths: deps.paths,
    uid: deps.paths.uid,
    registry: registryImages(registryOptions(deps)),
  });
}
