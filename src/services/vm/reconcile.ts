import { reasonOf } from "../../model/errors.ts";
import type { VmId } from "../../model/ids.ts";
import type { StageReporter } from "../../model/stages.ts";
import { restingStates, type VmRecord } from "../../model/vm.ts";
import type { AgentSession } from "../../guest/agent_session.ts";
import type { Machine } from "../../vmm/contract.ts";
import type { AdoptedVm } from "./live.ts";
import type { VmPaths } from "../../paths/paths.ts";
import { deleteVm } from "./delete.ts";
import { finishReset } from "./reset.ts";
import { keepSession } from "./keep_session.ts";
import { cleanupAll, stopAll } from "./steps.ts";
import type { VmServiceDeps } from "./vm_service.ts";
import { watchMachine } from "./watch.ts";

/** What reconcile needs beside the other verbs. */
export interface ReconcileDeps {
  /**
   * Takes over the machine that an earlier daemon left running and reopens the agent session;
   * `null` when it does not run any more.
   */
  adopt(vm: VmRecord, paths: VmPaths, signal: AbortSignal): Promise<AdoptedVm | null>;
  /** Opens a new session to the agent of a VM that runs. @throws BangerError when it does not answer */
  reconnect(machine: Machine, signal: AbortSignal): Promise<AgentSession>;
  /** Ids of all VMs that have a directory on the host, known to the store or not. */
  idsOnDisk(): Promise<readonly VmId[]>;
}

/** VMs looked after at once: as many as overlap their waits, not so many that memory grows. */
const atOnce = 32;

/**
 * Runs once at the daemon's start, before the first request: adopts VMs that still run, finishes
 * deletions and resets, ends half-made starts, deletes VMs whose client is gone, removes what belongs to no
 * VM. One VM's failure is logged and does not keep the others.
 */
export async function reconcileAll(
  deps: VmServiceDeps,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<void> {
  const rest = deps.store.list().values();
  const worker = async () => {
    for (const vm of rest) {
      try {
        await reconcileVm(deps, vm, reporter, signal);
      } catch (error) {
        deps.log.warn(`cannot reconcile VM ${vm.config.name}: ${reasonOf(error)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  const known = new Set(deps.store.list().map((vm) => vm.id));
  for (const id of await deps.idsOnDisk()) {
    if (known.has(id)) continue;
    try {
      await stopAll(deps.steps, id, deps.paths(id));
      await cleanupAll(deps.steps, id, deps.paths(id));
      deps.log.info(`removed what was left of VM ${id}`);
    } catch (error) {
      deps.log.warn(`cannot remove what is left of VM ${id}: ${reasonOf(error)}`);
    }
  }
}

async function reconcileVm(
  deps: VmServiceDeps,
  vm: VmRecord,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<void> {
  if (vm.ephemeral || vm.state === "deleting") {
    await deleteVm(deps, vm.id, true, reporter, signal);
    return;
  }
  if (vm.state === "resetting") {
    await deps.locks.vm(vm.id, signal, async () => {
      await stopAll(deps.steps, vm.id, deps.paths(vm.id));
      await finishReset(deps, vm);
    });
    return;
  }
  if (restingStates.includes(vm.state)) {
    await deps.locks.vm(vm.id, signal, () => stopAll(deps.steps, vm.id, deps.paths(vm.id)));
    return;
  }
  await deps.locks.vm(vm.id, signal, async () => {
    const adopted = vm.state === "running" ? await tryAdopt(deps, vm, signal) : null;
    if (adopted !== null) {
      const live = { ...adopted, lanes: deps.lanesOf(adopted.machine), execs: 0 };
      deps.live.set(vm.id, live);
      watchMachine(deps, vm.id, adopted.machine);
      void keepSession(deps, vm.id, live);
      return;
    }
    await stopAll(deps.steps, vm.id, deps.paths(vm.id));
    deps.store.update(vm.id, {
      state: "stopped",
      failure: vm.state === "running"
        ? "The VM ended while the daemon was away"
        : `The daemon ended while the VM was ${vm.state}`,
    });
  });
}

async function tryAdopt(
  deps: VmServiceDeps,
  vm: VmRecord,
  signal: AbortSignal,
): Promise<AdoptedVm | null> {
  try {
    return await deps.adopt(vm, deps.paths(vm.id), signal);
  } catch (error) {
    deps.log.warn(`cannot take over VM ${vm.config.name}: ${reasonOf(error)}`);
    return null;
  }
}
