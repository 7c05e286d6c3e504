import { isBangerError, reasonOf } from "../../../model/errors.ts";
import type { VmId } from "../../../model/ids.ts";
import type { VmRecord } from "../../../model/vm.ts";
import type { Measurement } from "./stats.ts";

/** A guest that does less than this, in per cent of one processor, is not used. */
export const idleCpuPercent = 5;

/** What {@linkcode Reaper} needs. */
export interface ReaperDeps {
  /** What was measured of a VM, oldest first. */
  readonly history: (id: VmId) => readonly Measurement[];
  /** After how long without use a VM is stopped that says nothing itself; `null`: never. */
  readonly defaultAfterMs: number | null;
  /** Stops the VM and records why, unless it is used meanwhile or does not run any more. */
  readonly stop: (id: VmId, reason: string, isUnused: () => boolean) => Promise<void>;
  readonly log: { info(text: string): void; warn(text: string): void };
}

/**
 * Stops VMs that nobody has used for a while: no command, no ssh session, no connection through a published port,
 * hardly any processor time in any measurement. Never deletes one.
 */
export class Reaper {
  readonly #deps: ReaperDeps;

  constructor(deps: ReaperDeps) {
    this.#deps = deps;
  }

  /** Looks at all of `vms`, which run, after they were measured. Never rejects. */
  async reap(vms: readonly VmRecord[]): Promise<void> {
    await Promise.all(vms.map((vm) => this.#look(vm)));
  }

  async #look(vm: VmRecord): Promise<void> {
    const afterMs = vm.autoStopMs ?? this.#deps.defaultAfterMs ?? 0;
    if (afterMs === 0 || vm.ephemeral) return;
    const isUnused = () => unusedMs(this.#deps.history(vm.id)) >= afterMs;
    if (!isUnused()) return;
    const reason = `Stopped by itself: not used for ${durationWords(afterMs)}`;
    try {
      await this.#deps.stop(vm.id, reason, isUnused);
      this.#deps.log.info(`VM ${vm.config.name}: ${reason}`);
    } catch (error) {
      if (isBangerError(error, "not_found")) return;
      this.#deps.log.warn(`cannot stop unused VM ${vm.config.name}: ${reasonOf(error)}`);
    }
  }
}

/** How long nobody has used the VM until its last measurement, in milliseconds. */
export function unusedMs(history: readonly Measurement[]): number {
  const last = history.at(-1);
  if (last === undefined) return 0;
  const used = history.findLastIndex((measured, at) => isUsed(measured, history[at - 1]));
  const since = history[Math.max(0, used)]!;
  return last.monotonicMs - since.monotonicMs;
}

/** What cannot be told counts as use. */
function isUsed(measured: Measurement, before: Measurement | undefined): boolean {
  const { cpuPercent, guest, execs, forwarded } = measured;
  return execs > 0 || guest.sshSessions !== 0 || forwarded.open > 0 ||
    (before !== undefined && forwarded.accepted !== before.forwarded.accepted) ||
    cpuPercent === null || cpuPercent >= idleCpuPercent;
}

function durationWords(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  if (minutes < 120) return `${minutes} min`;
  return minutes < 48 * 60 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} d`;
}
