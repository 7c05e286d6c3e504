import { checkSpace } from "../../images/disk_space.ts";
import type { ImageRun } from "../../model/artefacts.ts";
import type { Digest } from "../../model/digest.ts";
import type { BlobHold, BlobStore } from "../../oci/blob_store.ts";
import type { BlobFetcher } from "../../oci/fetch_blobs.ts";
import type { ImageConfig } from "../../oci/image_config.ts";
import type { ImageOrigin } from "../../oci/image_origin.ts";
import type { RegistryTransport } from "../../oci/registry_transport.ts";
import type { ResolvedImage } from "../../oci/resolve_image.ts";
import type { RegistrySource, ResolvedRegistryImage, SourceContext } from "./contract.ts";

/** What {@linkcode registryImages} needs. */
export interface RegistryImagesOptions {
  /** Where blobs are kept. */
  readonly blobsDir: string;
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

/** Blobs and file system, for each byte of compressed layers; a guess on the low side. */
const neededPerLayerByte = 3;

/** How long a download that broke off can be gone on with. */
const partsForMs = 7 * 24 * 3600 * 1000;

/** Images of registries, and of the user's files. All code for them is loaded by the first pull. */
export function registryImages(options: RegistryImagesOptions): RegistrySource {
  let tools: Promise<Tools> | undefined;
  const load = () => tools ??= loadTools(options);
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
      return await body(describe(resolved, { origin, store, fetcher, hold }));
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
      const described = { ...describe(resolved, { origin, store, fetcher, hold }), blobs: [] };
      return await body(described, await origin.names(signal));
    },
    drop: async (blobs, keep) => {
      const { store } = await load();
      await store.drop(blobs as readonly Digest[], keep as ReadonlySet<Digest>);
    },
    collect: async (keep) => {
      // Without a pull ever there is nothing to collect, and no code to load.
      if (tools === undefined && !await exists(options.blobsDir)) return;
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

interface Origin {
  readonly origin: ImageOrigin;
  readonly store: BlobStore;
  readonly fetcher: BlobFetcher;
  readonly hold: BlobHold;
}

function describe(image: ResolvedImage, from: Origin): ResolvedRegistryImage {
  return {
    digest: image.digest,
    run: runOf(image.config),
    blobs: [...image.blobs],
    layers: image.layers.map(({ digest }) => digest),
    unpack: async ({ stagingDir, reporter, signal }) => {
      const needed = neededPerLayerByte * image.layerBytes;
      await checkSpace(`pull image "${from.origin.label}"`, stagingDir, needed, signal);
      await fetchLayers(image, from, reporter, signal);
      return await writeRootfs(image, from.store, `${stagingDir}/${rootfsFile}`, reporter, signal);
    },
  };
}

async function fetchLayers(
  image: ResolvedImage,
  { origin, fetcher }: Origin,
  reporter: SourceContext["reporter"],
  signal: AbortSignal,
): Promise<void> {
  await reporter.stage(
    { id: "image.layers", title: `Pulling ${origin.label}` },
    async (progress) => {
      await fetcher.fetch(origin, image.layers, {
        signal,
        onProgress: (bytes, totalBytes) => progress(bytes, totalBytes, "bytes"),
      });
    },
  );
}

async function writeRootfs(
  image: ResolvedImage,
  store: BlobStore,
  out: string,
  reporter: SourceContext["reporter"],
  signal: AbortSignal,
) {
  const { flattenLayers } = await import("../../layers/flatten_layers.ts");
  const virtualBytes = virtualBytesFor(image.layerBytes);
  const sizes = image.layers.map(({ size }) => size);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  return await reporter.stage(
    { id: "image.rootfs", title: "Writing the file system" },
    async (progress) => {
      const { diskBytes } = await flattenLayers({
        layers: image.layers.map(({ digest, diffId }) => ({
          label: digest,
          diffId,
          open: () => store.read(digest),
        })),
        out,
        sizeBytes: virtualBytes,
        uuid: uuidOf(image.digest),
        made: timeOf(image.config.created),
        label: "banger-root",
        signal,
        onProgress: ({ layer, storedBytes }) => {
          const before = sizes.slice(0, layer).reduce((sum, size) => sum + size, 0);
          progress(Math.min(total, before + storedBytes), total, "bytes");
        },
      });
      return { file: rootfsFile, virtualBytes, diskBytes };
    },
  );
}

/** A UUID (RFC 9562, version 8) that follows from the image: equal images are equal files. */
function uuidOf(digest: Digest): Uint8Array {
  const bytes = Uint8Array.fromHex(digest.slice(digest.indexOf(":") + 1).slice(0, 32));
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes;
}

function timeOf(created: string | null) {
  const ms = created === null ? 0 : Date.parse(created);
  return { seconds: Number.isFinite(ms) ? Math.floor(ms / 1000) : 0, nanoseconds: 0 };
}

function runOf({ env, workingDir, user, entrypoint, cmd }: ImageConfig): ImageRun {
  return { env, workingDir, user, entrypoint, cmd };
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
