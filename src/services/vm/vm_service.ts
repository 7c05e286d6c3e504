import { BangerError, reasonOf } from "../../model/errors.ts";
import type { VmId } from "../../model/ids.ts";
import type { StageReporter } from "../../model/stages.ts";
import type { PublishedPort, WantedPort } from "../../model/published_port.ts";
import type { VmConfig, VmRecord } from "../../model/vm.ts";
import type { VmPaths } from "../../paths/paths.ts";
import type {
  BootSetSource,
  PortHolder,
  StartStep,
  VmDisks,
  VmStore,
  WorkDisks,
} from "./contract.ts";
import { type CreateRequest, createVm } from "./create.ts";
import { deleteVm } from "./delete.ts";
import type { Machine } from "../../vmm/contract.ts";
import type { Lanes } from "./lanes/lanes.ts";
import type { LiveVm } from "./live.ts";
import type { LiveTable } from "./live.ts";
import { publishPorts, unpublishPorts } from "./ports/publish.ts";
import { type Mended, reconcileAll, type ReconcileDeps, type ReconcileMode } from "./reconcile.ts";
import { type ResetRequest, resetVm } from "./reset.ts";
import { restartVm } from "./restart.ts";
import { type SetRequest, setVm } from "./set.ts";
import { startVm } from "./start.ts";
import { checkSteps } from "./steps.ts";
import { type StopRequest, stopUnusedVm, stopVm } from "./stop.ts";

/** What a user may leave out when creating a VM. */
export interface VmDefaults extends Omit<VmConfig, "name" | "kernel" | "diskBytes"> {
  /** `null`: the image says. */
  readonly kernel: string | null;
  /** `null`: the image's size. */
  readonly diskBytes: number | null;
}

/** Locks as `docs/architecture.md` ranks them. */
export interface VmLocks {
  /** vmLock[id]: held over a whole start, stop or delete. */
  vm<T>(id: VmId, signal: AbortSignal, body: () => Promise<T>): Promise<T>;
  /** Whether somebody holds vmLock[id], or waits for it. */
  isVmBusy(id: VmId): boolean;
  /** createVmLock: name still free, insert the row; nothing slow. */
  create<T>(signal: AbortSignal, body: () => Promise<T>): Promise<T>;
}

/** What the composition root gives. */
export interface VmServiceDeps extends ReconcileDeps {
  readonly store: VmStore;
  readonly locks: VmLocks;
  readonly bootSets: BootSetSource;
  readonly disks: VmDisks;
  readonly workDisks: WorkDisks;
  readonly hostPorts: PortHolder;
  readonly steps: readonly StartStep[];
  readonly live: LiveTable;
  /** The lanes of a machine that this daemon has started or taken over; none is in use. */
  readonly lanesOf: (machine: Machine) => Lanes;
  readonly defaults: VmDefaults;
  readonly paths: (id: VmId) => VmPaths;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Milliseconds since any fixed point, never going back. */
  readonly monotonicMs: () => number;
  readonly log: { info(text: string): void; warn(text: string): void };
}

/**
 * Verbs on VMs; each is one file. References are names, ids or unique prefixes of ids, looked up when the
 * verb is called: a VM that is renamed while the verb waits for its lock is still the one meant.
 */
export class VmService {
  readonly #deps: VmServiceDeps;
  #reconciling: Promise<unknown> = Promise.resolve();

  constructor(deps: VmServiceDeps) {
    checkSteps(deps.steps);
    this.#deps = deps;
  }

  /** All VMs, oldest first. */
  list(): VmRecord[] {
    return this.#deps.store.list();
  }

  /** @throws BangerError `not_found`, `invalid` when the prefix is not unique */
  find(ref: string): VmRecord {
    return this.#deps.store.resolve(ref);
  }

  /** Creates and, when asked, starts a VM. Unwinds fully when cancelled. */
  create(request: CreateRequest, reporter: StageReporter, signal: AbortSignal): Promise<VmRecord> {
    return createVm(this.#deps, request, reporter, signal);
  }

  /** Starts a stopped VM; a running one stays as it is. */
  start(ref: string, reporter: StageReporter, signal: AbortSignal): Promise<VmRecord> {
    return startVm(this.#deps, this.find(ref).id, reporter, signal);
  }

  /** Stops a running VM; a stopped one stays as it is. */
  stop(
    ref: string,
    request: StopRequest,
    reporter: StageReporter,
    signal: AbortSignal,
  ): Promise<VmRecord> {
    return stopVm(this.#deps, this.find(ref).id, request, reporter, signal);
  }

  /** Stops a running VM, and starts it. */
  restart(
    ref: string,
    request: StopRequest,
    reporter: StageReporter,
    signal: AbortSignal,
  ): Promise<VmRecord> {
    return restartVm(this.#deps, this.find(ref).id, request, reporter, signal);
  }

  /** Throws a VM's system disk away and makes a fresh one; see {@linkcode resetVm}. */
  reset(
    ref: string,
    request: ResetRequest,
    reporter: StageReporter,
    signal: AbortSignal,
  ): Promise<VmRecord> {
    return resetVm(this.#deps, this.find(ref).id, request, reporter, signal);
  }

  /** Changes a VM's name, size or labels. */
  set(ref: string, request: SetRequest, signal: AbortSignal): Promise<VmRecord> {
    return setVm(this.#deps, this.find(ref).id, request, signal);
  }

  /** Publishes ports of a VM and answers them with their numbers on the host. */
  publish(
    ref: string,
    wanted: readonly WantedPort[],
    signal: AbortSignal,
  ): Promise<readonly PublishedPort[]> {
    return publishPorts(this.#deps, this.find(ref).id, wanted, signal);
  }

  /** Takes published ports back and answers those that were. */
  unpublish(
    ref: string,
    unwanted: readonly WantedPort[],
    signal: AbortSignal,
  ): Promise<readonly PublishedPort[]> {
    return unpublishPorts(this.#deps, this.find(ref).id, unwanted, signal);
  }

  /** Stops a VM that nobody uses, if that still holds when nobody else works on it; `reason` is kept with it. */
  stopUnused(
    id: VmId,
    reason: string,
    isUnused: () => boolean,
    reporter: StageReporter,
    signal: AbortSignal,
  ): Promise<void> {
    return stopUnusedVm(this.#deps, id, { reason, isUnused }, reporter, signal);
  }

  /** Deletes a VM and all it owns. */
  delete(ref: string, force: boolean, reporter: StageReporter, signal: AbortSignal): Promise<void> {
    return deleteVm(this.#deps, this.find(ref).id, force, reporter, signal);
  }

  /** Gives up a lease: an ephemeral VM is deleted. Never throws; the log tells what went wrong. */
  async abandon(id: VmId, reporter: StageReporter): Promise<void> {
    const vm = this.#deps.store.find(id);
    if (vm === undefined || !vm.ephemeral) return;
    try {
      await deleteVm(this.#deps, id, true, reporter, AbortSignal.timeout(60_000));
    } catch (error) {
      if (error instanceof BangerError && error.kind === "not_found") return;
      this.#deps.log.warn(`abandoned VM ${vm.config.name} stays: ${reasonOf(error)}`);
    }
  }

  /** The live side of a running VM. @throws BangerError `precondition` when it does not run */
  running(ref: string): { readonly vm: VmRecord; readonly live: LiveVm } {
    const vm = this.find(ref);
    const live = this.#deps.live.get(vm.id);
    if (vm.state === "running" && live !== undefined) return { vm, live };
    throw new BangerError(
      "precondition",
      `Cannot reach VM "${vm.config.name}": it is ${vm.state}`,
      vm.state === "starting" ? {} : { hint: `banger vm start ${vm.config.name}` },
    );
  }

  /** The live side of a VM, if it runs. */
  liveOf(id: VmId): LiveVm | undefined {
    return this.#deps.live.get(id);
  }

  /** @throws BangerError `precondition` when the VM has no network */
  sshPort(vm: VmRecord): number {
    const port = vm.runtime?.sshPort ?? null;
    if (port !== null) return port;
    throw new BangerError(
      "precondition",
      `Cannot reach VM "${vm.config.name}" by ssh: no network`,
      {
        hint: `banger vm exec ${vm.config.name} -- sh`,
      },
    );
  }

  /** What the VM has on the host. */
  paths(id: VmId): VmPaths {
    return this.#deps.paths(id);
  }

  /** Makes store, processes and directories agree again; see {@linkcode reconcileAll}. One after the other. */
  reconcile(
    mode: ReconcileMode,
    reporter: StageReporter,
    signal: AbortSignal,
  ): Promise<readonly Mended[]> {
    const run = () => reconcileAll(this.#deps, mode, reporter, signal);
    const mended = this.#reconciling.then(run, run);
    this.#reconciling = mended;
    return mended;
  }

  /** Lets go of every VM without touching it; the daemon ends. */
  release(): void {
    this.#deps.live.releaseAll();
  }
}
