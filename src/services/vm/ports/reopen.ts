import { reasonOf } from "../../../model/errors.ts";
import type { VmRecord } from "../../../model/vm.ts";
import { pause } from "../../../sync/pause.ts";
import type { LiveVm } from "../live.ts";
import type { VmServiceDeps } from "../vm_service.ts";

/** How often a port that another program has is tried again. */
const retryMs = 5_000;

/**
 * Opens the published ports of a VM that the daemon has taken over. One that another program took while the
 * daemon was away is no reason to stop the VM: it is tried again until it is free. The caller holds vmLock[id].
 */
export async function reopenPorts(deps: VmServiceDeps, vm: VmRecord, live: LiveVm): Promise<void> {
  const missing = await openMissing(deps, vm, live);
  if (missing === null) return;
  deps.log.warn(missing);
  void retry(deps, vm, live).catch((error) => deps.log.warn(reasonOf(error)));
}

async function retry(deps: VmServiceDeps, { id }: VmRecord, live: LiveVm): Promise<void> {
  const signal = live.ports.ended;
  for (;;) {
    await pause(retryMs, signal);
    if (signal.aborted) return;
    const isDone = await deps.locks.vm(id, signal, async () => {
      const vm = deps.store.find(id);
      if (vm === undefined || deps.live.get(id) !== live) return true;
      return await openMissing(deps, vm, live) === null;
    });
    if (isDone) return;
  }
}

/** Why not all are open; `null` when they are. */
async function openMissing(
  deps: VmServiceDeps,
  { id, config: { name }, published }: VmRecord,
  live: LiveVm,
): Promise<string | null> {
  let problem: string | null = null;
  const open = new Set(live.ports.list().map(({ hostPort }) => hostPort));
  for (const port of published) {
    if (open.has(port.hostPort)) continue;
    try {
      for (const bound of await deps.hostPorts.bind({ id, name }, [port])) {
        live.ports.open(bound, "published");
      }
    } catch (error) {
      problem = reasonOf(error);
    }
  }
  return problem;
}
