/**
 * Every name that banger has on the host's disk, in one place.
 *
 * Owns: where state, cache, configuration and sockets are, and what the files in them are called.
 * Pure: the environment comes in as a snapshot (see `environment.ts`); making and checking
 * directories is in `ensure_dir.ts`. Must not import anything but `model`.
 */
import { BangerError } from "../model/errors.ts";
import { fnv1a32 } from "./fnv1a32.ts";

/** What the paths derive from. */
export interface PathsInput {
  readonly uid: number;
  /** Absolute. */
  readonly home: string;
  /** `$XDG_STATE_HOME`, `$XDG_CACHE_HOME`, `$XDG_CONFIG_HOME`; ignored unless absolute (XDG). */
  readonly xdgStateHome?: string | undefined;
  readonly xdgCacheHome?: string | undefined;
  readonly xdgConfigHome?: string | undefined;
  /** `$XDG_RUNTIME_DIR`, only when it exists and belongs to `uid`. */
  readonly xdgRuntimeDir?: string | undefined;
}

/** Longest path of a Unix socket, in bytes: `sun_path` less its NUL (unix(7)). */
export const maxSocketPathBytes = 107;

/** The longest part of a socket's path below the runtime base: `/HASH8/VMID12/n~` (see `unreadySocket`). */
const longestSocketTail = 1 + 8 + 1 + 12 + 1 + 2;

/** All paths of one owner. Two state directories (two HOMEs of one user) never share a socket. */
export class Paths {
  readonly uid: number;
  readonly home: string;
  /** VMs, images, kernels, the store and the log; 0700. */
  readonly stateDir: string;
  /** What can be fetched or made again; 0700. */
  readonly cacheDir: string;
  readonly configDir: string;
  readonly configFile: string;
  /** banger's own ssh keys; 0700. */
  readonly sshDir: string;
  /** Parent of the runtime directories of this user. */
  readonly runtimeBase: string;
  /** Sockets of this owner's daemon and VMs. */
  readonly runtimeDir: string;
  /** Mode of both: 0711 for root, whose VMMs run as other users and pass through, else 0700. */
  readonly runtimeDirMode: number;
  /** Files that back the memory of running guests: tmpfs, so that they cost no disk writes. */
  readonly memoryDir: string;
  readonly #runtimeDirBytes: number;

  constructor(input: PathsInput) {
    this.uid = input.uid;
    this.home = input.home;
    this.stateDir = `${absolute(input.xdgStateHome) ?? `${input.home}/.local/state`}/banger`;
    this.cacheDir = `${absolute(input.xdgCacheHome) ?? `${input.home}/.cache`}/banger`;
    this.configDir = `${absolute(input.xdgConfigHome) ?? `${input.home}/.config`}/banger`;
    this.configFile = `${this.configDir}/config.toml`;
    this.sshDir = `${this.configDir}/ssh`;
    this.runtimeBase = runtimeBase(input);
    const own = fnv1a32(this.stateDir);
    this.runtimeDir = `${this.runtimeBase}/${own}`;
    this.memoryDir = `${this.memoryBase}/${own}`;
    this.#runtimeDirBytes = new TextEncoder().encode(this.runtimeDir).length;
    this.runtimeDirMode = input.uid === 0 ? 0o711 : 0o700;
  }

  /** The daemon's public socket. */
  get daemonSocket(): string {
    return this.#socket(`${this.runtimeDir}/d`);
  }

  /** Its flock says that a daemon works on this state directory. Never removed. */
  get daemonLock(): string {
    return `${this.stateDir}/daemon.lock`;
  }

  /** Pid of the running daemon, in decimal; only to be shown. */
  get daemonPid(): string {
    return `${this.runtimeDir}/pid`;
  }

  /** The daemon's log; the rotated one is `daemon.log.1`. */
  get daemonLog(): string {
    return `${this.stateDir}/daemon.log`;
  }

  get storeFile(): string {
    return `${this.stateDir}/store.db`;
  }

  /** Copy of the store from before it was migrated away from `version`. */
  storeBackup(version: number): string {
    return `${this.storeFile}.bak-${version}`;
  }

  get vmsDir(): string {
    return `${this.stateDir}/vms`;
  }

  get imagesDir(): string {
    return `${this.stateDir}/images`;
  }

  get kernelsDir(): string {
    return `${this.stateDir}/kernels`;
  }

  get kitsDir(): string {
    return `${this.stateDir}/kits`;
  }

  /** Unfinished work; whatever is here when the daemon starts is removed. On the file system of the published directories. */
  get stagingDir(): string {
    return `${this.stateDir}/staging`;
  }

  /** Directory of one immutable image, kernel or kit, by its digest (`sha256:…`). */
  artefactDir(kind: "image" | "kernel" | "kit", digest: string): string {
    const match = /^(?:sha256:([0-9a-f]{64})|sha512:([0-9a-f]{128}))$/.exec(digest);
    const hex = match?.[1] ?? match?.[2];
    if (hex === undefined) {
      throw new BangerError("internal", `Cannot name a directory for "${digest}": not a digest`);
    }
    const parent = { image: this.imagesDir, kernel: this.kernelsDir, kit: this.kitsDir }[kind];
    return `${parent}/${hex.slice(0, 32)}`;
  }

  /** Result of the KVM trial boot. */
  get kvmProbeFile(): string {
    return `${this.cacheDir}/kvm_probe.json`;
  }

  get downloadsDir(): string {
    return `${this.cacheDir}/downloads`;
  }

  /** Manifests, configurations and layers of registries' images, by digest. */
  get blobsDir(): string {
    return `${this.cacheDir}/blobs`;
  }

  /** Private key that opens every guest of this owner; the public one has `.pub` behind it. */
  get sshKey(): string {
    return `${this.sshDir}/id_ed25519`;
  }

  /** Parent of {@linkcode memoryDir}; of the same mode. */
  get memoryBase(): string {
    return `/dev/shm/banger-${this.uid}`;
  }

  /** Names of everything that one VM has on disk. */
  vm(vmId: string): VmPaths {
    if (!/^[0-9a-f]{16}$/.test(vmId)) {
      throw new BangerError("internal", `Cannot name files of VM "${vmId}": not an id`);
    }
    const state = `${this.vmsDir}/${vmId}`;
    const run = `${this.runtimeDir}/${vmId.slice(0, 12)}`;
    const socket = (name: string) => this.#socket(`${run}/${name}`);
    return {
      stateDir: state,
      runDir: run,
      overlay: `${state}/overlay.qcow2`,
      workDisk: `${state}/work.ext4`,
      memory: `${this.memoryDir}/${vmId}`,
      memoryOnDisk: `${state}/memory`,
      consoleSegments: [`${state}/console.0`, `${state}/console.1`],
      handles: `${state}/handles.json`,
      seededInitrd: `${state}/initrd.img`,
      hostKey: `${state}/host_key`,
      knownHosts: `${state}/known_hosts`,
      qmpSocket: socket("q"),
      agentSocket: socket("a"),
      consoleSocket: socket("c"),
      networkSocket: socket("f"),
      passtSocket: socket("n"),
    };
  }

  #socket(path: string): string {
    // All are below it, by names of ASCII.
    const bytes = this.#runtimeDirBytes + path.length - this.runtimeDir.length;
    if (bytes <= maxSocketPathBytes) return path;
    throw new BangerError(
      "precondition",
      `Cannot use socket path "${path}": it has ${bytes} bytes, at most ${maxSocketPathBytes} work`,
      { hint: "Set XDG_RUNTIME_DIR to a shorter directory" },
    );
  }
}

/** What one VM has on disk. Sockets are in `runDir`, everything else in `stateDir`. */
export interface VmPaths {
  readonly stateDir: string;
  readonly runDir: string;
  readonly overlay: string;
  /** Raw ext4 file with the user's files; not every VM has one. */
  readonly workDisk: string;
  /** Backs the guest's memory, on tmpfs; `memoryOnDisk` is for hosts whose tmpfs is too small. */
  readonly memory: string;
  readonly memoryOnDisk: string;
  readonly consoleSegments: readonly [string, string];
  readonly handles: string;
  /** The initrd of a start, with the guest's identity; there only until the VMM has read it. */
  readonly seededInitrd: string;
  readonly hostKey: string;
  readonly knownHosts: string;
  readonly qmpSocket: string;
  readonly agentSocket: string;
  readonly consoleSocket: string;
  /** Where QEMU connects: the net filter's. */
  readonly networkSocket: string;
  readonly passtSocket: string;
}

function runtimeBase(input: PathsInput): string {
  // Root's VMMs run as other users and could not pass a 0700 XDG_RUNTIME_DIR.
  if (input.uid === 0) return "/run/banger-0";
  const fromXdg = absolute(input.xdgRuntimeDir);
  if (fromXdg !== undefined) {
    const bytes = new TextEncoder().encode(`${fromXdg}/banger`).length;
    if (bytes + longestSocketTail <= maxSocketPathBytes) return `${fromXdg}/banger`;
  }
  return `/tmp/banger-${input.uid}`;
}

function absolute(path: string | undefined): string | undefined {
  if (path === undefined || !path.startsWith("/")) return undefined;
  const trimmed = path.replace(/\/+$/, "");
  return trimmed === "" ? undefined : trimmed;
}
