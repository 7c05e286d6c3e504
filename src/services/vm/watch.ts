import { reasonOf } from "../../model/errors.ts";
import type { VmId } from "../../model/ids.ts";
import type { ProcessExit } from "../../process/host_processes.ts";
import type { Machine } from "../../vmm/contract.ts";
import { stopAll } from "./steps.ts";
import type { VmServiceDeps } from "./vm_service.ts";

/**
 * Records the end of a machine that nobody asked to end: the guest powered itself off, or its VMM
 * died. Takes vmLock[id] for it; does nothing when a stop or delete got there first.
 */
export function watchMachine(deps: VmServiceDeps, id: VmId, machine: Machine): void {
  const end = machine.ended.catch(() => null);
  end.then(async (exit) => {
    // Let go of while it runs: the daemon ends, the VM stays.
    if (exit === null) return;
    await deps.locks.vm(id, AbortSignal.timeout(120_000), async () => {
      if (deps.live.get(id)?.machine !== machine) return;
      deps.live.drop(id);
      await stopAll(deps.steps, id, deps.paths(id));
      const vm = deps.store.find(id);
      if (vm === undefined) return;
      deps.store.update(id, { state: "stopped", failure: unexpectedEnd(exit) });
      deps.log.info(`VM ${vm.config.name} ended: ${unexpectedEnd(exit) ?? "powered off"}`);
    });
  }).catch((error) => deps.log.warn(`cannot record the end of VM ${id}: ${reasonOf(error)}`));
}

/** Why the end was not the guest's own wish; `null` when it was. */
function unexpectedEnd(exit: ProcessExit): string | null {
  if (exit.code === 0) return null;
  const how = exit.signal !== null
    ? `was killed by ${exit.signal}`
    : exit.code !== null
    ? `ended with exit code ${exit.code}`
    : "ended";
  const words = exit.stderr.trim().split("\n").at(-1) ?? "";
  return `The VMM ${how}${words === "" ? "" : `: ${words}`}`;
}
