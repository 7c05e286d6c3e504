/** What an image says about the programs that run in it. Data from outside, with bounds. */
export interface ImageRun {
  /** `NAME=VALUE` */
  readonly env: readonly string[];
  /** Absolute, or empty. */
  readonly workingDir: string;
  /** `user`, `uid`, `user:group` or `uid:gid`, or empty. */
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
}

/** How what came from a catalog was published. */
export interface Publication {
  /** `sha256:…` of the bundle's file. */
  readonly bundle: string;
  /** Fingerprint of the primary key that has signed it, in upper-case hexadecimal. */
  readonly signer: string;
  /** When the bundle was made, in milliseconds since the epoch: an older one never replaces it. */
  readonly madeAtMs: number;
}

/** What a VM's work disk begins with. */
export interface WorkSeed {
  /** `sha256:…` of the archive that it was made of. */
  readonly digest: string;
  /** Absolute path of a raw ext4 file, which is only copied. */
  readonly path: string;
  /** Size of that file: no work disk of it is smaller. */
  readonly virtualBytes: number;
}

/** An image as the store holds it: immutable once published. */
export interface ImageRecord {
  readonly name: string;
  /** `sha256:…` over the recipe and the contents' sources; names the directory. */
  readonly digest: string;
  /**
   * Where it came from, such as `debian-archive:bookworm`, `catalog:ADDRESS` or
   * `registry:HOST/REPOSITORY:TAG`.
   */
  readonly source: string;
  /** Why from there and not from the source before it; `null` when there was nothing to choose. */
  readonly sourceReason: string | null;
  /** `null` unless it came from a catalog. */
  readonly publication: Publication | null;
  readonly arch: "x86_64" | "aarch64";
  /** Kernel that a VM of this image boots unless told otherwise. */
  readonly kernel: string;
  /** Size of the root file system as the guest sees it, in bytes. */
  readonly virtualBytes: number;
  /** What it really takes on the host's disk, in bytes. */
  readonly diskBytes: number;
  readonly createdAtMs: number;
  readonly managed: boolean;
  /** Absolute path of the raw ext4 file. */
  readonly rootfsPath: string;
  /** `null` for an image whose own home directory is what a work disk begins with. */
  readonly workSeed: WorkSeed | null;
  /** `null` where the source says nothing of it. */
  readonly run: ImageRun | null;
  /** Digests of the registry's blobs that it was made of; kept as long as it is. */
  readonly blobs: readonly string[];
}

/** Forms in which kernels are published; all are booted uncompressed. */
export const kernelFormats = ["vmlinux", "bzImage", "Image"] as const;

/** One of {@linkcode kernelFormats}. */
export type KernelFormat = typeof kernelFormats[number];

/** A kernel with what it needs to boot. */
export interface KernelRecord {
  readonly name: string;
  readonly digest: string;
  /** `uname -r` of it. */
  readonly version: string;
  /** As it was published. */
  readonly format: KernelFormat;
  /** Words that it needs on its command line besides banger's own. */
  readonly commandLine: readonly string[];
  /** As an image's. */
  readonly source: string;
  readonly sourceReason: string | null;
  readonly publication: Publication | null;
  readonly arch: "x86_64" | "aarch64";
  readonly createdAtMs: number;
  readonly diskBytes: number;
  /** Absolute paths; initrd and modules may be absent. */
  readonly vmlinuxPath: string;
  readonly initrdPath: string | null;
  readonly modulesPath: string | null;
  readonly probeInitrdPath: string | null;
}

/** States of an operation. The last three are final. */
export const operationStates = ["running", "succeeded", "failed", "cancelled"] as const;

/** One of {@linkcode operationStates}. */
export type OperationState = typeof operationStates[number];
