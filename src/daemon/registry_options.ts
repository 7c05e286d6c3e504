import type { RegistryImagesOptions } from "../services/image/registry_images.ts";
import type { ServiceDeps } from "./service_deps.ts";

/** What images of registries are made with, for the image service and for the tidying at the start. */
export function registryOptions(
  { paths, flatten, nowMs }: Pick<ServiceDeps, "paths" | "flatten" | "nowMs">,
): RegistryImagesOptions {
  return {
    blobsDir: paths.blobsDir,
    flatten,
    uid: paths.uid,
    arch: Deno.build.arch,
    now: nowMs,
  };
}
