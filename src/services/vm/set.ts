import { BangerError } from "../../model/errors.ts";
import type { VmId } from "../../model/ids.ts";
import { labelLimits, type Labels } from "../../model/labels.ts";
import { restingStates, type VmConfig, type VmRecord } from "../../model/vm.ts";
import { gibText } from "./gib_text.ts";
import { setAutoPorts } from "./go_live.ts";
import { requireVm, resetCutOff } from "./start.ts";
import type { VmServiceDeps } from "./vm_service.ts";

/** What is to be changed; `null` stays as it is. */
export interface SetRequest {
  readonly name: string | null;
  readonly cpus: number | null;
  readonly memoryMib: number | null;
  /** Bytes; never below what it has. */
  readonly diskBytes: number | null;
  /** Likewise; of a VM without a work disk: it gets one. */
  readonly workDiskBytes: number | null;
  /** A value sets a label, `null` removes it. */
  readonly labels: Readonly<Record<string, string | null>>;
  /** As in `VmRecord`; `"keep"` leaves it. */
  readonly autoStopMs: number | null | "keep";
  /** Likewise. */
  readonly command: readonly string[] | null | "keep";
  /** Whether what listens in it is forwarded; at once when it runs. */
  readonly autoPorts: boolean | null;
}

/**
 * Changes a VM: all of what was asked for, or nothing. Takes vmLock[id]. A new name is what the guest is
 * called from its next start on; a larger disk is what its file system grows to then, and a first work disk is what
 * its home directory is copied to.
 *
 * @throws BangerError `precondition` when processors, memory or disks of a running VM are to change,
 * `invalid` when a disk is to shrink, `conflict` when the name is taken, `not_found`, `exhausted`
 */
export async function setVm(
  deps: VmServiceDeps,
  id: VmId,
  request: SetRequest,
  signal: AbortSignal,
): Promise<VmRecord> {
  return await deps.locks.vm(id, signal, async () => {
    const vm = requireVm(deps, id, "change");
    const config = changedConfig(vm, request);
    const labels = changedLabels(vm, request.labels);
    checkState(vm, config);
    const paths = deps.paths(id);
    // First the disks: one that is larger than its row says does no harm.
    if (config.diskBytes > vm.config.diskBytes && await deps.disks.has(paths)) {
      await deps.disks.grow(paths, config.diskBytes, signal);
    }
    const isFirst = vm.config.workDiskBytes === 0 && config.workDiskBytes > 0;
    if (isFirst) await deps.workDisks.make(paths, config.workDiskBytes);
    else if (config.workDiskBytes > vm.config.workDiskBytes) {
      await deps.workDisks.grow(paths, config.workDiskBytes);
    }
    const autoStopMs = request.autoStopMs === "keep" ? vm.autoStopMs : request.autoStopMs;
    const command = request.command === "keep" ? vm.command : request.command;
    const autoPorts = request.autoPorts ?? vm.autoPorts;
    let changed: VmRecord;
    try {
      changed = deps.store.update(id, { config, labels, autoStopMs, command, autoPorts });
    } catch (error) {
      // What stays all the same the next reconcile removes.
      if (isFirst) await deps.workDisks.drop(paths).catch(() => {});
      throw error;
    }
    const live = deps.live.get(id);
    if (live !== undefined) setAutoPorts(deps, changed, live);
    return changed;
  });
}

function changedConfig({ config }: VmRecord, request: SetRequest): VmConfig {
  const diskBytes = request.diskBytes ?? config.diskBytes;
  const workDiskBytes = request.workDiskBytes ?? config.workDiskBytes;
  checkGrowth(config.name, "disk", config.diskBytes, diskBytes);
  checkGrowth(config.name, "work disk", config.workDiskBytes, workDiskBytes);
  return {
    ...config,
    name: request.name ?? config.name,
    cpus: request.cpus ?? config.cpus,
    memoryMib: request.memoryMib ?? config.memoryMib,
    diskBytes,
    workDiskBytes,
  };
}

function checkGrowth(name: string, what: string, from: number, to: number): void {
  if (to >= from) return;
  throw new BangerError(
    "invalid",
    `Cannot shrink the ${what} of VM "${name}" from ${gibText(from)} to ${
      gibText(to)
    }: disks only grow`,
  );
}

function checkState(vm: VmRecord, next: VmConfig): void {
  const { name, cpus, memoryMib, diskBytes, workDiskBytes } = vm.config;
  if (vm.state === "deleting") {
    throw new BangerError("conflict", `Cannot change VM "${name}": it is being deleted`);
  }
  if (vm.state === "resetting") throw resetCutOff("change", vm);
  const changes = [
    ...(next.cpus === cpus ? [] : ["processors"]),
    ...(next.memoryMib === memoryMib ? [] : ["memory"]),
    ...(next.diskBytes === diskBytes ? [] : ["disk"]),
    ...(next.workDiskBytes === workDiskBytes ? [] : ["work disk"]),
  ];
  if (changes.length === 0 || restingStates.includes(vm.state)) return;
  throw new BangerError(
    "precondition",
    `Cannot change the ${changes.join(" and ")} of VM "${name}": it is ${vm.state}`,
    { hint: `banger vm stop ${name}` },
  );
}

function changedLabels(vm: VmRecord, changes: SetRequest["labels"]): Labels {
  const labels: Record<string, string> = { ...vm.labels };
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) delete labels[key];
    else labels[key] = value;
  }
  if (Object.keys(labels).length <= labelLimits.count) return labels;
  throw new BangerError(
    "invalid",
    `Cannot label VM "${vm.config.name}": it would have more than ${labelLimits.count} labels`,
  );
}
