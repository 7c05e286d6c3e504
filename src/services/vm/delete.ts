import { BangerError } from "../../model/errors.ts";
import type { VmId } from "../../model/ids.ts";
import type { StageReporter } from "../../model/stages.ts";
import { activeStates } from "../../model/vm.ts";
import { requireVm } from "./start.ts";
import { cleanupAll } from "./steps.ts";
import { bringDown } from "./stop.ts";
import type { VmServiceDeps } from "./vm_service.ts";

/**
 * Deletes a VM and everything it owns. Takes vmLock[id]. The intent is stored first, so that a
 * deletion that was cut off is carried on at the next start of the daemon.
 *
 * @throws BangerError `conflict` while it runs, unless `force`; `not_found`
 */
export async function deleteVm(
  deps: VmServiceDeps,
  id: VmId,
  force: boolean,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<void> {
  await deps.locks.vm(id, signal, async () => {
    const vm = requireVm(deps, id, "delete");
    const runs = activeStates.includes(vm.state);
    if (runs && !force) {
      throw new BangerError("conflict", `Cannot delete VM "${vm.config.name}": it is ${vm.state}`, {
        hint:
          `banger vm stop ${vm.config.name} first, or banger vm delete --force ${vm.config.name}`,
      });
    }
    await deleteHeld(deps, id, reporter, signal);
  });
}

/** Deletes a VM whatever its state. The caller holds vmLock[id]. */
export async function deleteHeld(
  deps: VmServiceDeps,
  id: VmId,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<void> {
  deps.store.update(id, { state: "deleting" });
  await bringDown(deps, id, { force: true, timeoutMs: 0 }, reporter, signal);
  await reporter.stage({ id: "vm.cleanup", title: "Removing the VM's files" }, async () => {
    await cleanupAll(deps.steps, id, deps.paths(id));
  });
  deps.store.delete(id);
}
