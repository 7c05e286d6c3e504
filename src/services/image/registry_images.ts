import { exists } from "../../files/exists.ts";
import type { RunFlattener } from "../../layers/apart/flatten_apart.ts";
import type { ImageRun } from "../../model/artefacts.ts";
import type { Digest } from "../../model/digest.ts";
import { isBangerError } from "../../model/errors.ts";
import type { BlobStore } from "../../oci/blob_store.ts";
import type { BlobFetcher } from "../../oci/fetch_blobs.ts";
import type { ImageConfig } from "../../oci/image_config.ts";
import type { ImageOrigin } from "../../oci/image_origin.ts";
import type { RegistryTransport } from "../../oci/registry_transport.ts";
import type { ResolvedImage } from "../../oci/resolve_image.ts";
import type { RegistrySource, ResolvedRegistryImage, SourceContext } from "./contract.ts";
import { once } from "../../sync/once.ts";
import { checkPullSpace } from "./pull_space.ts";

/** What {@linkcode registryImages} needs. */
export interface RegistryImagesOptions {
  /** Where blobs are kept. */
  readonly blobsDir: string;
  /** Starts the process that unpacks. */
  readonly flatten: RunFlattener;
  readonly uid: number;
  readonly arch: "x86_64" | "aarch64";
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** What lives as long as the daemon, once it was needed. */
interface Tools {
  readonly store: BlobStore;
  readonly fetcher: BlobFetcher;
  readonly transport: RegistryTransport;
}

const rootfsFile = "rootfs.ext4";
const gib = 1024 ** 3;

/**
 * Size of a guest's root file system: what its layers may come to, and room to work in. It is sparse, and
 * `--disk` makes it larger.
 */
function virtualBytesFor(layerBytes: number): number {
  // File systems of programs become 2 to 4 times as large when inflated.
  return Math.max(8 * gib, Math.ceil((5 * layerBytes) / gib + 4) * gib);
}

/** How long a download that broke off can be gone on with. */
const partsForMs = 7 * 24 * 3600 * 1000;

/** Images of registries, and of the user's files. All code for them is loaded by the first pull. */
export function registryImages(options: RegistryImagesOptions): RegistrySource {
  const load = once(() => loadTools(options));
  return {
    with: async (image, signal, body) => {
      const { store, fetcher, transport } = await load();
      const { openRegistry } = await import("../../oci/registry.ts");
      const { platformOf } = await import("../../oci/platform.ts");
      const { resolveImage } = await import("../../oci/resolve_image.ts");
      const origin = openRegistry({ ...image, transport });
      using hold = store.hold();
      const platform = platformOf(options.arch);
      const resolved = await resolveImage(origin, { platform, signal, store, hold });
      return await body(describe(resolved, { ...options, origin, store, fetcher }));
    },
    withLocal: async (image, signal, body) => {
      const { store, fetcher } = await load();
      const { openLocalImage } = await import("./open_local_image.ts");
      const { platformOf } = await import("../../oci/platform.ts");
      const { resolveImage } = await import("../../oci/resolve_image.ts");
      const origin = await openLocalImage(image, signal);
      using hold = store.hold();
      // Without the store: only what is unpacked is brought into it.
      const resolved = await resolveImage(origin, {
        platform: platformOf(options.arch),
        signal,
        hold,
      });
      const described = {
        ...describe(resolved, { ...options, origin, store, fetcher }),
        blobs: [],
      };
      return await body(described, await origin.names(signal));
    },
    makeWorkSeed: async (tar, context) => {
      const { store } = await load();
      const { makeWorkSeed } = await import("./work_seed.ts");
      return await makeWorkSeed({ store, flatten: options.flatten }, tar, context);
    },
    drop: async (blobs, keep) => {
      const { store } = await load();
      await store.drop(blobs as readonly Digest[], keep as ReadonlySet<Digest>);
    },
    prune: async (keep, dryRun) => {
      if (!await exists(options.blobsDir)) return { removed: 0, bytes: 0 };
      const { store } = await load();
      const nowMs = options.now();
      return await store.collect(keep as ReadonlySet<Digest>, { nowMs, partsForMs: 0, dryRun });
    },
    sizes: async (blobs) => {
      const sizes = new Map<string, number>();
      if (blobs.size === 0) return sizes;
      const { store } = await load();
      for (const digest of blobs as ReadonlySet<Digest>) {
        const size = await store.size(digest);
        if (size !== undefined) sizes.set(digest, size);
      }
      return sizes;
    },
    collect: async (keep) => {
      // Without a pull ever there is nothing to collect, and no code to load.
      if (!await exists(options.blobsDir)) return;
      const { store } = await load();
      await store.collect(keep as ReadonlySet<Digest>, { nowMs: options.now(), partsForMs });
    },
  };
}

async function loadTools({ blobsDir, uid }: RegistryImagesOptions): Promise<Tools> {
  const { BlobStore } = await import("../../oci/blob_store.ts");
  const { BlobFetcher } = await import("../../oci/fetch_blobs.ts");
  const { RegistryTransport } = await import("../../oci/registry_transport.ts");
  const store = BlobStore.open(blobsDir, uid);
  return { store, fetcher: new BlobFetcher(store), transport: new RegistryTransport() };
}

interface Origin extends Pick<RegistryImagesOptions, "blobsDir" | "flatten"> {
  readonly origin: ImageOrigin;
  readonly store: BlobStore;
  readonly fetcher: BlobFetcher;
}

type UnpackContext = Omit<SourceContext, "mirror">;

function describe(image: ResolvedImage, from: Origin): ResolvedRegistryImage {
  return {
    digest: image.digest,
    run: runOf(image.config),
    blobs: [...image.blobs],
    layers: image.layers.map(({ digest }) => digest),
    unpack: async (context) => {
      await checkSpaceFor(image, from, context);
      try {
        return await fetchAndWrite(image, from, context);
      } catch (error) {
        // Layers that nothing can be made of would fail the next pull, too; on a full disk they are in the way.
        if (isBangerError(error, "untrusted") || isBangerError(error, "exhausted")) {
          await from.store.discard(image.layers.map(({ digest }) => digest));
        }
        throw error;
      }
    },
  };
}

async function checkSpaceFor(
  { layers, layerBytes }: ResolvedImage,
  { origin, store, blobsDir }: Origin,
  { stagingDir, reporter, signal }: UnpackContext,
): Promise<void> {
  let missingBytes = 0;
  for (const { digest, size } of new Map(layers.map((layer) => [layer.digest, layer])).values()) {
    if (await store.size(digest) === undefined) missingBytes += size;
  }
  const space = { label: origin.label, blobsDir, stagingDir, missingBytes, layerBytes };
  await checkPullSpace(space, (text) => reporter.notice(text), signal);
}

/**
 * Brings the layers, and meanwhile makes the file system of what is here of them. When one of the two
 * fails, the other is stopped, and has ended before this does.
 */
async function fetchAndWrite(image: ResolvedImage, from: Origin, context: UnpackContext) {
  const { reporter } = context;
  const failed = new AbortController();
  const signal = AbortSignal.any([context.signal, failed.signal]);
  const fetching = reporter.stage(
    { id: "image.layers", title: `Pulling ${from.origin.label}` },
    async (progress) => {
      await from.fetcher.fetch(from.origin, image.layers, {
        signal,
        onProgress: (bytes, totalBytes) => progress(bytes, totalBytes, "bytes"),
      });
    },
  );
  const show: Shown = {};
  const writing = writeOfVerified(image, from, { ...context, signal }, show, fetching);
  // The first failure is the one to tell: the other one's follows from it.
  for (const each of [writing, fetching]) each.catch((error) => failed.abort(error));
  try {
    await fetching;
    return await reporter.stage(
      { id: "image.rootfs", title: "Writing the file system" },
      async (progress) => {
        show.progress = (done, total) => progress(done, total, "bytes");
        return await writing;
      },
    );
  } catch (error) {
    await Promise.allSettled([fetching, writing]);
    context.signal.throwIfAborted();
    throw failed.signal.reason ?? error;
  }
}

/**
 * Writes the file system of layers that are still coming. One that turns out bad meanwhile may not be
 * what its digest says: that is for the download to tell. What a broken download had left may have
 * been read, too. So it is done again once everything is verified.
 */
async function writeOfVerified(
  image: ResolvedImage,
  from: Origin,
  context: UnpackContext,
  show: Shown,
  fetching: Promise<void>,
) {
  const fetched = fetching.then(() => void (show.isFetched = true));
  fetched.catch(() => {});
  try {
    return await writeRootfs(image, from, context, show);
  } catch (error) {
    if (show.isFetched === true || !isBangerError(error, "untrusted")) throw error;
    await fetched;
    await Deno.remove(`${context.stagingDir}/${rootfsFile}`).catch(() => {});
    return await writeRootfs(image, from, context, show);
  }
}

/** What the writing is told of the download. */
interface Shown {
  /** Whether all layers are here. */
  isFetched?: boolean;
  /** Who is shown how far the writing is; nobody until the layers are here. */
  progress?: (done: number, total: number) => void;
}

async function writeRootfs(
  image: ResolvedImage,
  { flatten, origin }: Origin,
  { stagingDir, signal }: UnpackContext,
  show: Shown,
) {
  const { flattenApart } = await import("../../layers/apart/flatten_apart.ts");
  const virtualBytes = virtualBytesFor(image.layerBytes);
  const sizes = image.layers.map(({ size }) => size);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  await flattenApart(flatten, {
    staging: stagingDir.slice(stagingDir.lastIndexOf("/") + 1),
    file: rootfsFile,
    purpose: "rootfs",
    layers: image.layers.map(({ digest, diffId, size }) => ({ digest, diffId, size })),
    sizeBytes: virtualBytes,
    uuid: uuidOf(image.digest),
    madeSeconds: secondsOf(image.config.created),
  }, {
    label: origin.label,
    signal,
    mayWait: () => show.isFetched !== true,
    onProgress: ({ layer, storedBytes }) => {
      const before = sizes.slice(0, layer).reduce((sum, size) => sum + size, 0);
      show.progress?.(Math.min(total, before + storedBytes), total);
    },
  });
  const { blocks } = await Deno.lstat(`${stagingDir}/${rootfsFile}`);
  return { file: rootfsFile, virtualBytes, diskBytes: (blocks ?? 0) * 512 };
}

/** A UUID (RFC 9562, version 8) that follows from the image: equal images are equal files. */
function uuidOf(digest: Digest): string {
  const bytes = Uint8Array.fromHex(digest.slice(digest.indexOf(":") + 1).slice(0, 32));
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toHex();
}

function secondsOf(created: string | null): number {
  const ms = created === null ? 0 : Date.parse(created);
  return Number.isFinite(ms) ? Math.floor(ms / 1000) : 0;
}

function runOf({ env, workingDir, user, entrypoint, cmd }: ImageConfig): ImageRun {
  return { env, workingDir, user, entrypoint, cmd };
}
