/**
 * The VM service: lifecycle of VMs (create, start, stop, delete, show, logs, exec, reconcile).
 *
 * Owns the VM state machine, the live machines and their agent sessions. Declares what it needs
 * from others in this file; must not import another service, the daemon or a capability.
 */
import type { ImageRecord, KernelRecord } from "../../model/artefacts.ts";
import type { VmId } from "../../model/ids.ts";
import type { StageReporter } from "../../model/stages.ts";
import type { VmRecord } from "../../model/vm.ts";
import type { Accelerator, DiskSpec, Machine } from "../../vmm/contract.ts";
import type { VmPaths } from "../../paths/paths.ts";
import type { Identity } from "../../wire/messages.ts";
import type { AgentSession } from "../../guest/agent_session.ts";
import type { HostPorts } from "./ports/host_ports.ts";

/** Everything that a VM boots from. */
export interface BootSet {
  readonly image: ImageRecord;
  readonly kernel: KernelRecord;
  /** The guest kit's disk. */
  readonly kitPath: string;
}

/** The guest's network as the network step set it up. */
export interface GuestNetwork {
  readonly socketPath: string;
  readonly mac: string;
  readonly address: string;
  readonly gateway: string;
  readonly dns: readonly string[];
  readonly sshPort: number;
}

/** What the steps of one start gather; each field is set by the step named beside it. */
export interface StartFacts {
  /** `system_disk` */
  readonly disks: DiskSpec[];
  /** `network` */
  network: GuestNetwork | null;
  /** `identity`; its clock is the one of that moment */
  identity: Identity | null;
  /** `identity`; `null` where the kernel has none */
  initrdPath: string | null;
  /** `machine` */
  machine: Machine | null;
  /** `machine` */
  accelerator: Accelerator | null;
  /** `agent`: the machine runs, so that what fails from here on is the guest's fault, or its VMM's */
  isBooting: boolean;
  /** `agent` */
  session: AgentSession | null;
}

/** How often a VM is started when its machine turns out to be unsound. */
export const maxStartAttempts = 3;

/**
 * Code of a start step's failure that is this run's alone: the same start is likely to succeed when it is tried
 * again, such as after a guest's kernel measured its timer wrong on a busy host.
 */
export const unsoundMachineCode = "MACHINE_UNSOUND";

/** What a step gets. */
export interface StepContext {
  readonly vm: VmRecord;
  readonly paths: VmPaths;
  readonly bootSet: BootSet;
  /** The VM is being created: what `prepare` makes of the user's own is made only now. */
  readonly isNew: boolean;
  readonly facts: StartFacts;
  /** From 1 to {@linkcode maxStartAttempts}. */
  readonly attempt: number;
  readonly gitIdentity: { readonly name: string; readonly email: string } | null;
  readonly reporter: StageReporter;
  readonly signal: AbortSignal;
}

/** A start as far as it can be told before anything is changed. */
export interface StartPlan {
  /** `null` for a VM that has none yet. */
  readonly name: string | null;
  readonly paths: VmPaths;
  readonly memoryMib: number;
  readonly workDiskBytes: number;
  /** The VM is yet to be made. */
  readonly isNew: boolean;
  /** `null` while it is not known: what is missing of it is pulled later, or told by who looked for it. */
  readonly bootSet: BootSet | null;
  /**
   * Whether room for memory and disks is looked for: not for a VM that lives for one command, which is to start as
   * soon as it can, nor for what gives room back.
   */
  readonly needsRoom: boolean;
}

/** One thing that is missing on this host, with the command that mends it. */
export interface Missing {
  readonly what: string;
  readonly hint: string;
}

/**
 * One capability of a VM, as hooks. A step starts as soon as all in `dependsOn` have started;
 * teardown runs in reverse order. Hooks hold the VM's lock of their caller and take none themselves.
 */
export interface StartStep {
  readonly name: string;
  readonly dependsOn: readonly string[];
  /** Everything that is missing for it here; changes nothing. */
  preflight?(plan: StartPlan): Promise<readonly Missing[]>;
  /** Makes what lives as long as the VM. Idempotent. */
  prepare?(context: StepContext): Promise<void>;
  /** Makes what lives as long as the run. */
  start?(context: StepContext): Promise<void>;
  /** Undoes `start`; must succeed when it never ran or ran halfway. */
  stop?(vm: VmId, paths: VmPaths): Promise<void>;
  /** Undoes `prepare`; likewise. */
  cleanup?(vm: VmId, paths: VmPaths): Promise<void>;
}

/** The store's VM repository, as far as this service needs it. */
export interface VmStore {
  list(): VmRecord[];
  find(id: VmId): VmRecord | undefined;
  findByName(name: string): VmRecord | undefined;
  /** By name, id or unique prefix of an id. @throws BangerError `not_found`, `invalid` */
  resolve(ref: string): VmRecord;
  /** @throws BangerError `conflict` when the name is taken */
  insert(vm: VmRecord): void;
  /** Answers the row as it is now. @throws BangerError `not_found` */
  update(id: VmId, changes: Partial<Omit<VmRecord, "id" | "createdAtMs">>): VmRecord;
  delete(id: VmId): boolean;
}

/** Ports of the host, as far as this service needs them; `HostPorts`. */
export type PortHolder = Pick<
  HostPorts,
  "bind" | "hold" | "bindAuto" | "takeConnection" | "releaseConnection"
>;

/** The VMs' own disks, which `system_disk` makes. */
export interface VmDisks {
  /** Whether the VM's disk was made already. */
  has(paths: VmPaths): Promise<boolean>;
  /** Removes a disk that no VMM has open, for good once this settles; none is no error. */
  remove(paths: VmPaths): Promise<void>;
  /** Makes a disk that no VMM has open larger. @throws BangerError `internal`, `exhausted` */
  grow(paths: VmPaths, sizeBytes: number, signal: AbortSignal): Promise<void>;
}

/** The VMs' work disks, which `work_disk` makes. A VM has one when its row says how large. */
export interface WorkDisks {
  /** Makes a new, empty one, also in place of one that no row speaks of. @throws BangerError `exhausted` */
  make(paths: VmPaths, sizeBytes: number): Promise<void>;
  /** Makes one larger that no VMM has open. @throws BangerError `precondition` when it is missing */
  grow(paths: VmPaths, sizeBytes: number): Promise<void>;
  /** Whether a VM that has none by its row has the file of one that was never used: what gave it one was cut off. */
  isLeft(paths: VmPaths): Promise<boolean>;
  /** Removes a work disk that no row speaks of and nobody has used, or what there is of it; none is no error. */
  drop(paths: VmPaths): Promise<void>;
}

/** Where boot sets come from; pulls on a miss. */
export interface BootSetSource {
  ensure(
    image: string,
    kernel: string | null,
    reporter: StageReporter,
    signal: AbortSignal,
  ): Promise<BootSet>;
  /** The boot set of an existing VM, by the digests recorded with it. */
  find(vm: VmRecord): Promise<BootSet>;
}
