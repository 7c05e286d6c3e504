import type { BundleMetadata } from "../../bundles/bundle.ts";
import type { Catalog, CatalogEntry } from "../../catalog/catalog.ts";
import type { CatalogSettings } from "../../catalog/load_catalog.ts";
import { checkSpace } from "../../images/disk_space.ts";
import type { KernelFormat, KernelRecord } from "../../model/artefacts.ts";
import { isBangerError } from "../../model/errors.ts";
import { SharedWork } from "../../sync/shared_work.ts";
import type {
  BundleContext,
  CatalogSource,
  SeedTar,
  StagedBundle,
  StagedKernel,
} from "./contract.ts";
import { builtInSource } from "./choose_source.ts";
import { revisionFile } from "./pull_bundles.ts";

/** What {@linkcode catalogBundles} needs. */
export interface CatalogBundlesOptions {
  readonly settings: CatalogSettings;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Milliseconds that only go forward. */
  readonly monotonicMs: () => number;
  /** `KernelSource.revision()`: initrds are made of the same scripts. */
  readonly revision: () => Promise<string>;
}

/** For so long, in ms, all who ask get the same catalog. */
const catalogKeptMs = 5_000;

/** A catalog that does not answer must not hold up for long what can be made without it. */
const catalogTransfer = { stallTimeoutMs: 8_000, retryDelaysMs: [500] };

/** A static busybox for initrds. */
const busyboxPath = "/bin/busybox";

/** Bundles of the configured catalog, or of the one that is built in. All code for them is loaded on use. */
export function catalogBundles(options: CatalogBundlesOptions): CatalogSource {
  const { settings } = options;
  const loads = new SharedWork<Catalog>();
  let last: { readonly atMs: number; readonly result: Promise<Catalog> } | undefined;
  const load = async (signal: AbortSignal): Promise<Catalog> => {
    if (last !== undefined && options.monotonicMs() - last.atMs < catalogKeptMs) {
      return await last.result;
    }
    return await loads.share("catalog", signal, async (stop) => {
      const { loadCatalog } = await import("../../catalog/load_catalog.ts");
      const result = loadCatalog(settings, { ...catalogTransfer, signal: stop });
      await result.catch(() => {});
      // Failures as well: the parts of one boot set do not wait for the same one in turn.
      if (!stop.aborted) last = { atMs: options.monotonicMs(), result };
      return await result;
    });
  };
  return {
    source: settings.url === null ? builtInSource : `catalog:${settings.url}`,
    load,
    forget: () => last = undefined,
    pull: (entry, context) => pull(entry, context, options),
    refit: (kernel, stagingDir, signal) => refit(kernel, stagingDir, signal, options),
  };
}

async function pull(
  entry: CatalogEntry,
  context: BundleContext,
  options: CatalogBundlesOptions,
): Promise<StagedBundle> {
  const { stagingDir, kernelStagingDir, reporter, signal, notBeforeMs } = context;
  const { loadTrust } = await import("../../catalog/load_catalog.ts");
  const { bundleFault } = await import("../../bundles/bundle_fault.ts");
  const { pullBundle } = await import("../../bundles/pull_bundle.ts");
  const { bundleKernelDigest } = await import("../../bundles/kernel_digest.ts");
  const { completeKernel } = await import("../../kernels/complete_kernel.ts");
  const { extractVmlinux } = await import("../../kernels/extract_vmlinux.ts");
  const { metadata, digest, signer, files } = await pullBundle(entry, {
    ...{ stagingDir, reporter, signal },
    trust: await loadTrust(options.settings),
    nowMs: options.now(),
    extractKernel: (image, stop) => extractVmlinux(image, { signal: stop }),
    checkSpace: (bytes) =>
      checkSpace(`pull ${entry.kind} "${entry.name}"`, stagingDir, bytes, signal),
    ...(notBeforeMs === null ? {} : { notBeforeMs }),
  });
  for (const file of [files.vmlinux, files.initrd, files.modules]) {
    if (file !== null) await Deno.rename(`${stagingDir}/${file}`, `${kernelStagingDir}/${file}`);
  }
  const made = await reporter.stage(
    { id: "kernel.complete", title: `Preparing kernel ${metadata.kernel.name}` },
    async () => {
      try {
        return await completeKernel(kernelStagingDir, { ...files, busyboxPath, signal });
      } catch (error) {
        if (!isBangerError(error, "untrusted")) throw error;
        const { message, detail } = error;
        throw bundleFault(entry.name, files.modules, `no initrd can be made of it: ${message}`, {
          ...(detail === undefined ? {} : { detail }),
          cause: error,
        });
      }
    },
  );
  const { name, version, commandLine } = metadata.kernel;
  const revision = made.initrdIsOurs ? await options.revision() : null;
  if (revision !== null) await Deno.writeTextFile(`${kernelStagingDir}/${revisionFile}`, revision);
  return {
    publication: { bundle: digest, signer, madeAtMs: metadata.createdAtMs },
    kernel: {
      ...{ name, version, commandLine, format: formatOf(metadata) },
      digest: await bundleKernelDigest(metadata, revision),
      vmlinux: files.vmlinux,
      initrd: made.initrd,
      modules: files.modules,
      probeInitrd: made.probeInitrd,
    },
    workSeed: seedOf(metadata),
    rootfs: files.rootfs === null
      ? null
      : { file: files.rootfs, ...await sizesOf(`${stagingDir}/${files.rootfs}`) },
    kit: files.kit === null || metadata.kitKey === null
      ? null
      : { file: files.kit, key: metadata.kitKey },
  };
}

/** Its hash was checked when it was unpacked; it has no holes. */
function seedOf({ members }: BundleMetadata): SeedTar | null {
  const seed = members.find(({ name }) => name === "work-seed.tar");
  return seed === undefined
    ? null
    : { file: seed.name, digest: `sha256:${seed.sha256}`, size: seed.size };
}

async function refit(
  kernel: KernelRecord,
  stagingDir: string,
  signal: AbortSignal,
  { revision: revisionOf }: CatalogBundlesOptions,
): Promise<StagedKernel> {
  const { completeKernel } = await import("../../kernels/complete_kernel.ts");
  // Another name of the same file: it is immutable, and lives as long as one of them.
  const link = async (path: string | null) => {
    if (path === null) return null;
    const name = path.slice(path.lastIndexOf("/") + 1);
    await Deno.link(path, `${stagingDir}/${name}`);
    return name;
  };
  const [vmlinux, modules] = [await link(kernel.vmlinuxPath), await link(kernel.modulesPath)];
  const made = await completeKernel(stagingDir, { initrd: null, modules, busyboxPath, signal });
  const revision = await revisionOf();
  await Deno.writeTextFile(`${stagingDir}/${revisionFile}`, revision);
  return {
    version: kernel.version,
    digest: await sha256(`${kernel.digest} ${revision}`),
    ...{ vmlinux: vmlinux!, modules, initrd: made.initrd, probeInitrd: made.probeInitrd },
  };
}

async function sha256(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `sha256:${new Uint8Array(hash).toHex()}`;
}

function formatOf(
  { arch, members }: { arch: string; members: readonly { readonly name: string }[] },
): KernelFormat {
  if (arch === "aarch64") return "Image";
  return members.some(({ name }) => name === "bzImage") ? "bzImage" : "vmlinux";
}

async function sizesOf(path: string): Promise<{ virtualBytes: number; diskBytes: number }> {
  const { size, blocks } = await Deno.stat(path);
  return { virtualBytes: size, diskBytes: blocks === null ? size : blocks * 512 };
}
