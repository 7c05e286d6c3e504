import { exists } from "../../files/exists.ts";
import type { VmId } from "../../model/ids.ts";
import { restingStates, type VmRecord } from "../../model/vm.ts";
import type { VmProcess } from "../../vmm/vm_processes.ts";
import { readHandles } from "./handles.ts";
import type { ReconcileMode } from "./reconcile.ts";
import type { VmServiceDeps } from "./vm_service.ts";

/**
 * What is to be done about a VM: `adopt` takes it over (or ends it when it cannot be reached), `end` removes what
 * runs and records that it stopped, `delete` and `reset` carry on what was cut off, `tidy` removes what a VM at rest may not
 * have, `remove` clears what no VM in the store has.
 */
export const mendActions = ["adopt", "end", "delete", "reset", "tidy", "remove"] as const;

/** One of {@linkcode mendActions}. */
export type MendAction = typeof mendActions[number];

/** Something in which store, processes and disk do not agree, and what mends it. */
export interface Mend {
  readonly vmId: VmId | null;
  /** `null` when the store knows no such VM. */
  readonly name: string | null;
  readonly action: MendAction;
  /** One clause in words. */
  readonly why: string;
}

/** Looks at one VM, or what there is of it, and changes nothing. The caller holds vmLock[id]. */
export async function examine(
  deps: Pick<VmServiceDeps, "paths" | "live" | "workDisks">,
  { atStart }: Pick<ReconcileMode, "atStart">,
  id: VmId,
  vm: VmRecord | undefined,
  processes: readonly VmProcess[],
): Promise<Mend | null> {
  if (vm === undefined) {
    return { vmId: id, name: null, action: "remove", why: "the store knows no such VM" };
  }
  const mend = (action: MendAction, why: string): Mend => ({
    ...{ vmId: id, name: vm.config.name, action, why },
  });
  const isLive = deps.live.get(id) !== undefined;
  if (vm.state === "deleting") return mend("delete", "its deletion was cut off");
  if (vm.ephemeral) return atStart ? mend("delete", "its client is gone") : null;
  if (vm.state === "resetting") return mend("reset", "its reset was cut off");
  if (restingStates.includes(vm.state)) {
    const left = await leftOf(deps, vm, processes);
    return left === null ? null : mend("tidy", `it is ${vm.state} and has ${left}`);
  }
  if (vm.state !== "running") return mend("end", `nobody works on it, and it is ${vm.state}`);
  if (isLive) return null;
  return processes.some(({ program }) => program === "qemu")
    ? mend("adopt", "it runs")
    : mend("end", "it should run, and has no VMM");
}

/** What a VM that does not run may not have, in words. */
async function leftOf(
  deps: Pick<VmServiceDeps, "paths" | "workDisks">,
  { id, config }: VmRecord,
  processes: readonly VmProcess[],
): Promise<string | null> {
  const [first] = processes;
  if (first !== undefined) return `a process of ${first.program} (${first.handle.pid})`;
  const paths = deps.paths(id);
  const { machine, passt, netFilter } = readHandles(paths);
  if (machine !== null || passt !== null || netFilter !== null) return "handles of processes";
  if (await exists(paths.runDir)) return "a socket directory";
  if (await exists(paths.seededInitrd)) return "an initrd";
  const hasNone = config.workDiskBytes === 0;
  return hasNone && await deps.workDisks.isLeft(paths) ? "a work disk that it was not given" : null;
}
