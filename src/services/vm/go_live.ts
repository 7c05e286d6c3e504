import { reasonOf } from "../../model/errors.ts";
import type { VmRecord } from "../../model/vm.ts";
import type { AdoptedVm, LiveVm } from "./live.ts";
import { AutoPorts } from "./ports/auto_ports.ts";
import type { BoundPort } from "./ports/bound_port.ts";
import { forwardVersion } from "./ports/publish.ts";
import { RunningPorts } from "./ports/running_ports.ts";
import type { VmServiceDeps } from "./vm_service.ts";

/**
 * Makes the live side of a VM whose guest answers, and lets `bound`, its published ports, lead to it. The caller
 * holds vmLock[id].
 */
export function goLive(
  deps: VmServiceDeps,
  vm: VmRecord,
  { machine, session }: AdoptedVm,
  bound: readonly BoundPort[],
): LiveVm {
  const lanes = deps.lanesOf(machine);
  const live: LiveVm = {
    machine,
    session,
    lanes,
    ports: new RunningPorts({
      session: () => live.session,
      lanes,
      connections: deps.hostPorts,
      warn: (text) => deps.log.warn(`VM ${vm.config.name}: ${text}`),
    }),
    autoPorts: null,
    execs: 0,
  };
  deps.live.set(vm.id, live);
  for (const port of bound) live.ports.open(port, "published");
  setAutoPorts(deps, vm, live);
  return live;
}

/** Begins or ends to forward what listens in a running guest, as its row says. The caller holds vmLock[id]. */
export function setAutoPorts(deps: VmServiceDeps, vm: VmRecord, live: LiveVm): void {
  // The guest of an earlier banger cannot tell.
  const isWanted = vm.autoPorts && live.session.welcome.version >= forwardVersion;
  if (!isWanted) {
    live.autoPorts?.stop();
    live.autoPorts = null;
    return;
  }
  try {
    live.autoPorts ??= new AutoPorts({
      session: live.session,
      ports: live.ports,
      bind: (guestPort) => deps.hostPorts.bindAuto(vm.config.name, guestPort),
      monotonicMs: deps.monotonicMs,
    });
  } catch (error) {
    // The session has ended, and the VM is about to.
    deps.log.warn(`VM ${vm.config.name} forwards no ports by itself: ${reasonOf(error)}`);
  }
}
