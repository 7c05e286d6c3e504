import type { VmId } from "../../model/ids.ts";
import type { StageReporter } from "../../model/stages.ts";
import type { VmRecord } from "../../model/vm.ts";
import { startHeld } from "./start.ts";
import { stopHeld, type StopRequest } from "./stop.ts";
import type { VmServiceDeps } from "./vm_service.ts";

/**
 * Stops a VM when it runs and starts it. Takes vmLock[id] for both, so that nobody else's verb comes in
 * between. Cancelled after the stop, the VM stays stopped.
 *
 * @throws BangerError as `stopVm` and `startVm` do
 */
export async function restartVm(
  deps: VmServiceDeps,
  id: VmId,
  request: StopRequest,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<VmRecord> {
  return await deps.locks.vm(id, signal, async () => {
    await stopHeld(deps, id, request, reporter, signal);
    signal.throwIfAborted();
    return await startHeld(deps, id, reporter, signal);
  });
}
