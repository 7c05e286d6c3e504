/**
 * The image service: images, kernels and the guest kit, from their sources to the disk and the
 * store, and the boot sets made of them.
 *
 * Owns: what can be pulled, sharing of pulls under way, publication, removal of what is unused.
 * Declares what it needs from others in this file; must not import another service, the daemon or a
 * capability.
 */
import type { Catalog, CatalogEntry } from "../../catalog/catalog.ts";
import type { BuildOptions, BuiltImage } from "../../images/debian_image.ts";
import type { RootfsFile } from "../../images/examine_rootfs.ts";
import type {
  ImageRecord,
  ImageRun,
  KernelFormat,
  KernelRecord,
  Publication,
} from "../../model/artefacts.ts";
import type { Digest } from "../../model/digest.ts";
import type { ImageReference } from "../../model/image_reference.ts";
import type { LocalImageSource } from "../../model/image_source.ts";
import type { RegistryCredentials } from "../../model/registry_credentials.ts";
import type { StageReporter } from "../../model/stages.ts";
import type { VmRecord } from "../../model/vm.ts";
import type { LocalBytes } from "../../oci/local_bytes.ts";
import type { Paths } from "../../paths/paths.ts";
import type { Locks } from "../../sync/locks.ts";

/** The store's rows of one sort of artefact, as `src/store` has them. */
export interface ArtefactStore<T> {
  /** The current ones. */
  list(): T[];
  /** Those that a newer one of the same name has replaced. */
  listSuperseded(): T[];
  /** The current one of `name`. */
  find(name: string): T | undefined;
  /** Any one with this digest. */
  findByDigest(digest: string): T | undefined;
  /** Makes it the current one of its name. */
  publish(record: T): void;
  delete(name: string, digest: string): boolean;
}

/** Who uses what. */
export interface VmUses {
  list(): readonly Pick<VmRecord, "config" | "imageDigest" | "kernelDigest">[];
}

/** A kernel as its source leaves it in a staging directory: file names in there. */
export interface StagedKernel {
  readonly version: string;
  /** `sha256:…` over everything it was made of. */
  readonly digest: string;
  readonly vmlinux: string;
  readonly initrd: string | null;
  readonly modules: string | null;
  readonly probeInitrd: string | null;
}

/** A guest kit as its builder leaves it in a staging directory. */
export interface StagedKit {
  /** File name in there; unique for its content. */
  readonly file: string;
}

/** What a source is given. */
export interface SourceContext {
  /** Fresh private directory for everything that is made. */
  readonly stagingDir: string;
  readonly mirror: string;
  readonly reporter: StageReporter;
  readonly signal: AbortSignal;
}

/** Where kernels come from. */
export interface KernelSource {
  /** Names that can be pulled, and the suite of the Debian archive that each is in. */
  readonly names: Readonly<Record<string, { readonly suite: string }>>;
  /** Changes when the same package would give other files; see `ensure_kernel.ts`. */
  revision(): Promise<string>;
  pull(name: string, context: SourceContext): Promise<StagedKernel>;
}

/** A bundle as the catalog's source leaves it in staging directories: file names in there. */
export interface StagedBundle {
  readonly publication: Publication;
  /** In the kernel's staging directory. */
  readonly kernel: StagedKernel & {
    /** The name under which it is published, also when it came with an image. */
    readonly name: string;
    readonly format: KernelFormat;
    readonly commandLine: readonly string[];
  };
  /** In the staging directory; `null` for a kernel's bundle. */
  readonly rootfs: {
    readonly file: string;
    readonly virtualBytes: number;
    readonly diskBytes: number;
  } | null;
  /** A guest kit in the staging directory, and the `KitSource.key()` that it was made with. */
  readonly kit: { readonly file: string; readonly key: string } | null;
  /** In the staging directory; `null` where there is none. */
  readonly workSeed: SeedTar | null;
}

/** A tar archive of what a home directory begins with, as a bundle has it. */
export interface SeedTar {
  /** File name in the staging directory. */
  readonly file: string;
  readonly digest: Digest;
  /** In bytes. */
  readonly size: number;
}

/** What a bundle's pull is given. */
export interface BundleContext extends Omit<SourceContext, "mirror"> {
  /** As `stagingDir`, for the kernel and what it boots with. */
  readonly kernelStagingDir: string;
  /** Older ones are refused; milliseconds since the epoch. */
  readonly notBeforeMs: number | null;
}

/** Where bundles come from. */
export interface CatalogSource {
  /** The `source` of what comes from the catalog in force, such as `catalog:ADDRESS`. */
  readonly source: string;
  /**
   * The catalog in force; the answer is the same for a moment, so that the parts of one boot set
   * come from one catalog.
   *
   * @throws BangerError `unavailable` or `precondition` when it cannot be had, `untrusted` when it
   * breaks a rule, `cancelled`
   */
  load(signal: AbortSignal): Promise<Catalog>;
  /** Whoever asks from now on gets a catalog of now. */
  forget(): void;
  /**
   * Fetches, verifies and unpacks a bundle, and makes what its kernel lacks to boot.
   *
   * @throws BangerError as `pullBundle`
   */
  pull(entry: CatalogEntry, context: BundleContext): Promise<StagedBundle>;
  /**
   * Makes a catalog's kernel that is here anew in `stagingDir`, for what this version of banger adds to it;
   * nothing is fetched.
   *
   * @throws BangerError `precondition`, `cancelled`
   */
  refit(kernel: KernelRecord, stagingDir: string, signal: AbortSignal): Promise<StagedKernel>;
}

/** Where the guest kit comes from. */
export interface KitSource {
  /** Suite of the Debian archive that its packages are in. */
  readonly suite: string;
  /** Changes when the kit's own inputs do; cheap. */
  key(): Promise<string>;
  build(context: SourceContext): Promise<StagedKit>;
}

/** An image of a registry, named in full. */
export interface RegistryImage {
  readonly reference: ImageReference;
  readonly credentials: RegistryCredentials | null;
}

/** What a registry has under a name, as far as it takes no layers to tell. */
export interface ResolvedRegistryImage {
  /** `sha256:…` of the manifest for this processor: equal digests are equal images. */
  readonly digest: string;
  readonly run: ImageRun;
  readonly blobs: readonly string[];
  /** Those of its layers. */
  readonly layers: readonly string[];
  /** Brings the layers and writes `rootfs.ext4` into the staging directory. */
  unpack(context: Omit<SourceContext, "mirror">): Promise<{
    readonly file: string;
    readonly virtualBytes: number;
    readonly diskBytes: number;
  }>;
}

/** An image of the user's files, and what reads them. */
export interface LocalImage {
  /** Its path is a name only: nothing here opens it. */
  readonly source: LocalImageSource;
  readonly bytes: LocalBytes;
}

/** Where images of layers come from. */
export interface RegistrySource {
  /** Calls `body` with what the registry has; its blobs are kept until `body` has ended. */
  with<T>(
    image: RegistryImage,
    signal: AbortSignal,
    body: (resolved: ResolvedRegistryImage) => Promise<T>,
  ): Promise<T>;
  /**
   * The same for an image of the user's files, with what they call it. Its layers are in the store
   * while they are unpacked; see {@linkcode drop}.
   */
  withLocal<T>(
    image: LocalImage,
    signal: AbortSignal,
    body: (resolved: ResolvedRegistryImage, names: readonly string[]) => Promise<T>,
  ): Promise<T>;
  /**
   * Makes a work disk of a bundle's tar in the staging directory, by the rules for layers; the tar is gone then.
   *
   * @throws BangerError as `flattenApart`
   */
  makeWorkSeed(
    tar: SeedTar,
    context: Omit<SourceContext, "mirror">,
  ): Promise<{ readonly file: string; readonly virtualBytes: number }>;
  /** Removes these blobs, finished or not, but for those in `keep` and what a pull needs now. */
  drop(blobs: readonly string[], keep: ReadonlySet<string>): Promise<void>;
  /**
   * Removes the blobs that are not in `keep` and that no pull needs now, also downloads that broke off;
   * or only tells how many they are.
   */
  prune(
    keep: ReadonlySet<string>,
    dryRun: boolean,
  ): Promise<{ readonly removed: number; readonly bytes: number }>;
  /** Bytes of those blobs that are here. */
  sizes(blobs: ReadonlySet<string>): Promise<ReadonlyMap<string, number>>;
  /** Removes the blobs that are not in `keep`, and that no pull needs now. */
  collect(keep: ReadonlySet<string>): Promise<void>;
}

/** What the service is made of; given by the composition root. */
export interface ImageServiceDeps {
  readonly images: ArtefactStore<ImageRecord>;
  readonly kernels: ArtefactStore<KernelRecord>;
  readonly vms: VmUses;
  readonly locks: Pick<Locks, "hold">;
  readonly paths: Pick<
    Paths,
    "stagingDir" | "imagesDir" | "kernelsDir" | "kitsDir" | "downloadsDir" | "artefactDir"
  >;
  readonly uid: number;
  readonly arch: "x86_64" | "aarch64";
  readonly now: () => number;
  readonly newUuid: () => string;
  /** So many bytes of the system's generator. */
  readonly randomHex: (bytes: number) => string;
  /** Address of the Debian archive that has `suite`. @throws BangerError `precondition` */
  readonly mirror: (suite: string) => Promise<string>;
  /** Path of the Debian archive's keyring. */
  readonly keyring: string;
  /** `http_proxy`, `https_proxy`, `no_proxy` as far as they are set. */
  readonly proxyEnv: Readonly<Record<string, string>>;
  readonly buildImage: (options: BuildOptions) => Promise<BuiltImage>;
  readonly registry: RegistrySource;
  readonly catalog: CatalogSource;
  /** A file of the user's, wherever it is. @throws BangerError as `examineRootfs` */
  readonly rootfsFile: (path: string) => Promise<RootfsFile>;
  readonly kernelSource: KernelSource;
  readonly kitSource: KitSource;
}
