import { reasonOf } from "../model/errors.ts";
import type { Reaper } from "../services/vm/usage/reaper.ts";
import type { VmStats } from "../services/vm/usage/stats.ts";
import type { VmService } from "../services/vm/vm_service.ts";
import { whenPassed } from "../sync/when_passed.ts";

/** What {@linkcode StatsLoop} needs. */
export interface StatsLoopDeps {
  readonly service: Pick<VmService, "find" | "list" | "liveOf">;
  readonly stats: Pick<VmStats, "poll">;
  readonly reaper: Pick<Reaper, "reap">;
  readonly intervalMs: number;
  readonly log: { warn(text: string): void };
}

/**
 * Measures the running VMs every so often and lets the reaper look at them. While none runs it looks at a
 * table and does nothing else.
 */
export class StatsLoop {
  readonly #deps: StatsLoopDeps;
  #isStopped = false;

  constructor(deps: StatsLoopDeps) {
    this.#deps = deps;
  }

  /** The first measurement is one interval away. */
  start(): void {
    if (this.#isStopped) return;
    whenPassed(this.#deps.intervalMs, () => void this.#turn());
  }

  stop(): void {
    this.#isStopped = true;
  }

  async #turn(): Promise<void> {
    if (this.#isStopped) return;
    const { service, stats, reaper, log } = this.#deps;
    try {
      const running = () => service.list().filter(({ id }) => service.liveOf(id) !== undefined);
      await stats.poll((id) => running().find((vm) => vm.id === id));
      await reaper.reap(running());
    } catch (error) {
      log.warn(`cannot measure VMs: ${reasonOf(error)}`);
    }
    this.start();
  }
}
