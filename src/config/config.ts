/**
 * The user's configuration: `config.toml`, checked strictly, with every default filled in.
 *
 * Owns: its keys, their defaults, and errors that point at line and column. Must not import
 * anything but `model`; where the file is says `paths`.
 */

/** Everything that can be configured. Frozen. */
export interface Config {
  /** Image of a new VM unless told otherwise. */
  readonly defaultImageName: string;
  /** Kernel of an image that names none. */
  readonly defaultKernelName: string;
  /** Which VMM to use; `auto` takes the one that works here. */
  readonly vmm: "auto" | "qemu";
  /** Absolute path of QEMU; `null` finds it in the usual directories. */
  readonly qemuBin: string | null;
  /** Absolute path of the private key that opens guests; `null` makes one of banger's own. */
  readonly sshKeyPath: string | null;
  /** How long a guest may take until its agent answers, in milliseconds. */
  readonly bootTimeoutMs: number;
  /** How often running VMs are measured, in milliseconds; `null`: only when somebody asks. */
  readonly statsPollIntervalMs: number | null;
  /** After how long without use a VM is stopped, in milliseconds; `null`: never. */
  readonly autoStopStaleAfterMs: number | null;
  readonly vmDefaults: {
    readonly cpus: number;
    readonly memoryMib: number;
    /** Bytes; `null` is the image's own size. */
    readonly diskBytes: number | null;
    /** Bytes of the disk that keeps the user's files; 0: a VM has none unless told otherwise. */
    readonly workDiskBytes: number;
  };
  readonly catalog: {
    /** Base URL of a Debian mirror; `null` takes the one of the host's apt. */
    readonly debianMirror: string | null;
    /** Address or absolute path of the catalog; `null` takes the one that is built in. */
    readonly url: string | null;
    /** Fingerprints of the primary keys whose signatures count, in upper-case hexadecimal. */
    readonly fingerprints: readonly string[];
    /** Absolute path of a file with those keys; `null` takes the ones that are built in. */
    readonly keyring: string | null;
  };
}

/** What holds where the file says nothing. `hostCpus` is the number of the host's processors. */
export function defaultConfig(hostCpus: number): Config {
  return {
    defaultImageName: "debian-bookworm",
    defaultKernelName: "debian-6.1-cloud",
    vmm: "auto",
    qemuBin: null,
    sshKeyPath: null,
    bootTimeoutMs: 90_000,
    statsPollIntervalMs: 10_000,
    autoStopStaleAfterMs: null,
    vmDefaults: {
      cpus: Math.max(1, Math.min(2, hostCpus)),
      memoryMib: 2048,
      diskBytes: null,
      workDiskBytes: 8 * 1024 ** 3,
    },
    catalog: { debianMirror: null, url: null, fingerprints: [], keyring: null },
  };
}

/** `config`, which nobody can change any more. */
export function frozenConfig(config: Config): Config {
  Object.freeze(config.vmDefaults);
  Object.freeze(config.catalog);
  return Object.freeze(config);
}
