import type { AgentSession } from "../../guest/agent_session.ts";
import { reasonOf } from "../../model/errors.ts";
import type { VmId } from "../../model/ids.ts";
import type { StageReporter } from "../../model/stages.ts";
import type { VmRecord } from "../../model/vm.ts";
import type { VmPaths } from "../../paths/paths.ts";
import type { ProcessHandle } from "../../process/host_processes.ts";
import type { Machine } from "../../vmm/contract.ts";
import type { VmProcess } from "../../vmm/vm_processes.ts";
import { deleteHeld } from "./delete.ts";
import { examine, type Mend } from "./examine.ts";
import { goLive } from "./go_live.ts";
import type { VmHandles } from "./handles.ts";
import { keepSession } from "./keep_session.ts";
import type { AdoptedVm } from "./live.ts";
import { reopenPorts } from "./ports/reopen.ts";
import { finishReset } from "./reset.ts";
import { notStarted } from "./start.ts";
import { restoreHandles } from "./restore_handles.ts";
import { cleanupAll, stopAll } from "./steps.ts";
import type { VmServiceDeps } from "./vm_service.ts";
import { watchMachine } from "./watch.ts";

/** What reconcile needs beside the other verbs. */
export interface ReconcileDeps {
  /**
   * Takes over the machine that an earlier daemon left running, whose process has just been seen, and reopens the
   * agent session; `null` when there is none.
   */
  adopt(handles: VmHandles, signal: AbortSignal): Promise<AdoptedVm | null>;
  /** Opens a new session to the agent of a VM that runs. @throws BangerError when it does not answer */
  reconnect(machine: Machine, signal: AbortSignal): Promise<AgentSession>;
  /** Ids of all VMs that have a directory on the host, known to the store or not. */
  idsOnDisk(): readonly VmId[];
  /** The programs that run for VMs, as the kernel says. */
  processes(): Promise<readonly VmProcess[]>;
  /** Ends a process that belongs to no VM, or that a VM has twice. */
  endProcess(process: ProcessHandle): Promise<void>;
}

/** How reconcile goes about it. */
export interface ReconcileMode {
  /**
   * At the daemon's start nobody works on VMs yet, and clients of ephemeral ones are gone. Later, VMs that
   * somebody works on are left alone, and so are ephemeral ones.
   */
  readonly atStart: boolean;
  /** Only tells what it would do. */
  readonly dryRun: boolean;
}

/** What was found, and what came of it. */
export interface Mended extends Mend {
  /** Why it could not be done; `null` when it was, or was not to be. */
  readonly failure: string | null;
}

/** VMs looked after at once: as many as overlap their waits, not so many that memory grows. */
const atOnce = 32;

/**
 * Compares store, processes and disk, and makes them agree: takes over VMs that still run, finishes deletions and resets, ends
 * half-made starts, deletes VMs whose client is gone, removes what belongs to no VM. Each VM is looked at and
 * mended under its lock, by the same code whether or not anything is to be done; one VM's failure does not
 * keep the others.
 */
export async function reconcileAll(
  deps: VmServiceDeps,
  mode: ReconcileMode,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<readonly Mended[]> {
  // In this order: what appears meanwhile has a row before it has a directory or a process.
  const onDisk = deps.idsOnDisk();
  const rows = deps.store.list();
  if (onDisk.length === 0 && rows.length === 0) return [];
  const processes = groupByRun(await deps.processes());
  const ids = [...new Set([...rows.map(({ id }) => id), ...onDisk])];
  const byId = new Map<VmId, Mended | null>(ids.map((id) => [id, null]));
  const rest = ids.values();
  const worker = async () => {
    for (const id of rest) {
      if (!mode.atStart && deps.locks.isVmBusy(id)) continue;
      const found = await deps.locks.vm(id, signal, () => {
        const own = processes.get(runName(deps.paths(id))) ?? [];
        return lookAt(deps, mode, id, own, reporter, signal);
      });
      byId.set(id, found);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  const mended = [...byId.values()].filter((one) => one !== null);
  const known = new Set(ids.map((id) => runName(deps.paths(id))));
  for (const [run, strays] of processes) {
    if (known.has(run) || !mode.atStart) continue;
    const mend: Mend = { vmId: null, name: null, action: "end", why: strayWords(strays) };
    mended.push(await attempt(deps, mode, mend, () => endAll(deps, strays)));
  }
  return mended;
}

async function lookAt(
  deps: VmServiceDeps,
  mode: ReconcileMode,
  id: VmId,
  processes: readonly VmProcess[],
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<Mended | null> {
  const vm = deps.store.find(id);
  const paths = deps.paths(id);
  let mend = await examine(deps, mode, id, vm, processes);
  if (mend === null) return null;
  if (!mode.atStart) {
    // What was seen of the processes may be from before the last verb on this VM.
    const now = groupByRun(await deps.processes()).get(runName(paths)) ?? [];
    processes = now;
    mend = await examine(deps, mode, id, vm, now);
    if (mend === null) return null;
  }
  const { action } = mend;
  return await attempt(deps, mode, mend, async () => {
    const sshPort = vm?.runtime?.sshPort ?? null;
    const { handles, surplus } = restoreHandles(id, paths, processes, sshPort);
    await endAll(deps, surplus.map((handle) => ({ handle })));
    if (vm === undefined) {
      await stopAll(deps.steps, id, paths);
      await cleanupAll(deps.steps, id, paths);
    } else if (action === "delete") {
      await deleteHeld(deps, id, reporter, signal);
    } else if (action === "reset") {
      await stopAll(deps.steps, id, paths);
      await finishReset(deps, vm);
    } else if (action === "tidy") {
      await stopAll(deps.steps, id, paths);
      if (vm.config.workDiskBytes === 0) await deps.workDisks.drop(paths);
    } else {
      await adoptOrEnd(deps, vm, action === "adopt" ? handles : null, signal);
    }
  });
}

/** Does it, unless it is only to be told, and logs what came of it. */
async function attempt(
  deps: VmServiceDeps,
  { dryRun }: ReconcileMode,
  mend: Mend,
  body: () => Promise<void>,
): Promise<Mended> {
  if (dryRun) return { ...mend, failure: null };
  const what = `${mend.action} VM ${mend.name ?? mend.vmId ?? "(none)"} (${mend.why})`;
  try {
    await body();
    if (mend.action !== "adopt") deps.log.info(`reconciled: ${what}`);
    return { ...mend, failure: null };
  } catch (error) {
    deps.log.warn(`cannot ${what}: ${reasonOf(error)}`);
    return { ...mend, failure: reasonOf(error) };
  }
}

async function adoptOrEnd(
  deps: VmServiceDeps,
  vm: VmRecord,
  handles: VmHandles | null,
  signal: AbortSignal,
): Promise<void> {
  const adopted = handles === null ? null : await tryAdopt(deps, vm, handles, signal);
  if (adopted !== null) {
    const live = goLive(deps, vm, adopted, []);
    await reopenPorts(deps, vm, live);
    watchMachine(deps, vm.id, adopted.machine);
    void keepSession(deps, vm.id, live);
    return;
  }
  await stopAll(deps.steps, vm.id, deps.paths(vm.id));
  deps.store.update(vm.id, {
    state: notStarted(vm),
    failure: vm.state === "running"
      ? "The VM ended while the daemon was away"
      : `The daemon ended while the VM was ${vm.state}`,
  });
}

async function tryAdopt(
  deps: VmServiceDeps,
  vm: VmRecord,
  handles: VmHandles,
  signal: AbortSignal,
): Promise<AdoptedVm | null> {
  try {
    return await deps.adopt(handles, signal);
  } catch (error) {
    deps.log.warn(`cannot take over VM ${vm.config.name}: ${reasonOf(error)}`);
    return null;
  }
}

async function endAll(
  deps: VmServiceDeps,
  processes: readonly Pick<VmProcess, "handle">[],
): Promise<void> {
  for (const { handle } of processes) await deps.endProcess(handle);
}

function groupByRun(processes: readonly VmProcess[]): Map<string, VmProcess[]> {
  return Map.groupBy(processes, ({ run }) => run);
}

function runName({ runDir }: VmPaths): string {
  return runDir.slice(runDir.lastIndexOf("/") + 1);
}

function strayWords(strays: readonly VmProcess[]): string {
  return strays.map(({ program, handle }) => `${program}, process ${handle.pid},`).join(" ") +
    " has neither a row nor a directory";
}
