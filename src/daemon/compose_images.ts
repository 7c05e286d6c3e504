import { findMirror } from "../debian/find_mirror.ts";
import { buildDebianImage } from "../images/debian_image.ts";
import { catalogBundles } from "../services/image/catalog_bundles.ts";
import { debianKernels } from "../services/image/debian_kernels.ts";
import { debianKits } from "../services/image/debian_kits.ts";
import { ImageService } from "../services/image/image_service.ts";
import { registryImages } from "../services/image/registry_images.ts";
import { runtimeAssets } from "../version/runtime_assets.ts";
import { registryOptions } from "./registry_options.ts";
import type { ServiceDeps } from "./service_deps.ts";

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/**
 * The part of the composition root that builds the image service: loaded by the first call that needs it, and
 * not with the daemon. Starts nothing.
 */
export function composeImages(
  deps: ServiceDeps,
  randomHex: (bytes: number) => string,
): ImageService {
  const { paths, config, store } = deps;
  const arch = Deno.build.arch;
  const debianSource = { arch, keyring, downloadsDir: paths.downloadsDir, now: deps.nowMs };
  const kernelSource = debianKernels(debianSource);
  return new ImageService({
    images: store.images,
    kernels: store.kernels,
    vms: store.vms,
    locks: deps.locks,
    paths,
    uid: paths.uid,
    arch,
    now: deps.nowMs,
    newUuid: () => crypto.randomUUID(),
    randomHex,
    mirror: (suite) => findMirror({ suite, configured: config.catalog.debianMirror ?? undefined }),
    keyring,
    proxyEnv: deps.proxyEnv,
    buildImage: buildDebianImage,
    registry: registryImages(registryOptions(deps)),
    rootfsFile: (path) => deps.host.rootfsFile(path),
    catalog: catalogBundles({
      settings: config.catalog,
      now: deps.nowMs,
      monotonicMs: deps.monotonicMs,
      revision: () => kernelSource.revision(),
    }),
    kernelSource,
    kitSource: debianKits(debianSource, runtimeAssets),
  });
}
