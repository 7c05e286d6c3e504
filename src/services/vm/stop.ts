import { BangerError, reasonOf } from "../../model/errors.ts";
import type { VmId } from "../../model/ids.ts";
import type { StageReporter } from "../../model/stages.ts";
import { restingStates, type VmRecord } from "../../model/vm.ts";
import type { LiveVm } from "./live.ts";
import { requireVm, resetCutOff } from "./start.ts";
import { stopAll } from "./steps.ts";
import type { VmServiceDeps } from "./vm_service.ts";

/** How a VM is stopped. */
export interface StopRequest {
  /** How long the guest may take to power off before its VMM is ended, in milliseconds. */
  readonly timeoutMs: number;
  /** Do not ask the guest. */
  readonly force: boolean;
}

/** How long a guest may take when the caller does not say. */
export const defaultStopTimeoutMs = 30_000;

/**
 * Stops a VM: asks the guest to power off, then ends the VMM. Takes vmLock[id]. A VM that does not
 * run stays as it is; a guest that died meanwhile counts as success.
 */
export async function stopVm(
  deps: VmServiceDeps,
  id: VmId,
  request: StopRequest,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<VmRecord> {
  return await deps.locks.vm(id, signal, () => stopHeld(deps, id, request, reporter, signal));
}

/**
 * Stops a VM that nobody uses. Takes vmLock[id], and asks again under it: somebody may have begun to use it.
 *
 * @throws BangerError `not_found`
 */
export async function stopUnusedVm(
  deps: VmServiceDeps,
  id: VmId,
  { reason, isUnused }: { readonly reason: string; readonly isUnused: () => boolean },
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<void> {
  await deps.locks.vm(id, signal, async () => {
    const live = deps.live.get(id);
    if (live === undefined || live.execs + live.ports.connections > 0 || !isUnused()) return;
    const request = { timeoutMs: defaultStopTimeoutMs, force: false };
    await stopHeld(deps, id, request, reporter, signal);
    deps.store.update(id, { failure: reason });
  });
}

/** {@linkcode stopVm} for a caller that holds vmLock[id]. */
export async function stopHeld(
  deps: VmServiceDeps,
  id: VmId,
  request: StopRequest,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<VmRecord> {
  const vm = requireVm(deps, id, "stop");
  if (vm.state === "deleting") {
    throw new BangerError("conflict", `Cannot stop VM "${vm.config.name}": it is being deleted`);
  }
  if (vm.state === "resetting") throw resetCutOff("stop", vm);
  if (restingStates.includes(vm.state)) return vm;
  deps.store.update(id, { state: "stopping" });
  await bringDown(deps, id, request, reporter, signal);
  return deps.store.update(id, { state: "stopped", failure: null });
}

/**
 * Ends the machine and undoes every start step. The caller holds vmLock[id]. From here on there is
 * no way back: the signal only shortens the guest's time to power off.
 */
export async function bringDown(
  deps: VmServiceDeps,
  id: VmId,
  request: StopRequest,
  reporter: StageReporter,
  signal: AbortSignal,
): Promise<void> {
  const live = deps.live.get(id);
  if (live !== undefined && !request.force) {
    await reporter.stage({ id: "vm.poweroff", title: "Powering off the guest" }, async () => {
      if (!await poweredOff(live, request.timeoutMs, signal)) {
        reporter.notice("The guest did not power off in time; its VMM is ended");
      }
    });
  }
  deps.live.drop(id);
  await reporter.stage({ id: "vm.teardown", title: "Releasing the VM's resources" }, async () => {
    await live?.machine.kill();
    await stopAll(deps.steps, id, deps.paths(id));
  });
}

async function poweredOff(
  live: LiveVm,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const stop = new AbortController();
  const bounded = AbortSignal.any([signal, stop.signal, AbortSignal.timeout(timeoutMs)]);
  const bound = new Promise<false>((resolve) =>
    bounded.addEventListener("abort", () => resolve(false), { once: true })
  );
  try {
    const asked = live.session.shutdown("poweroff").then(
      () => new Promise<never>(() => {}),
      // The link often breaks before the answer: the guest is on its way down.
      (error: unknown) => isEnding(error) ? new Promise<never>(() => {}) : false as const,
    );
    return await Promise.race([live.machine.ended.then(() => true), bound, asked]);
  } finally {
    stop.abort();
  }
}

function isEnding(error: unknown): boolean {
  return !(error instanceof BangerError) || error.kind === "unavailable" ||
    /closed|reset|ended/i.test(reasonOf(error));
}
