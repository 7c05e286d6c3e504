import type { AgentSession } from "../../guest/agent_session.ts";
import type { VmId } from "../../model/ids.ts";
import type { Machine } from "../../vmm/contract.ts";
import type { Lanes } from "./lanes.ts";

/** A running VM's machine, the session to its agent and its lanes. */
export interface LiveVm {
  readonly machine: Machine;
  /** Over the machine's own link; replaced when it breaks (`keep_session.ts`). */
  session: AgentSession;
  readonly lanes: Lanes;
  /** Commands that run in it for clients now. */
  execs: number;
}

/** What an earlier daemon left running and this one took over. */
export type AdoptedVm = Pick<LiveVm, "machine" | "session">;

/** The VMs that run now. Holds no lock: entries change only under the VM's lock. */
export class LiveTable {
  readonly #entries = new Map<VmId, LiveVm>();

  get(id: VmId): LiveVm | undefined {
    return this.#entries.get(id);
  }

  set(id: VmId, live: LiveVm): void {
    this.#entries.set(id, live);
  }

  /** Forgets the VM and closes its session; the machine is not touched. */
  drop(id: VmId): void {
    const live = this.#entries.get(id);
    if (live === undefined) return;
    this.#entries.delete(id);
    live.session.close();
  }

  /** The VMs that run now. */
  get ids(): readonly VmId[] {
    return [...this.#entries.keys()];
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Lets go of all machines without ending them. */
  releaseAll(): void {
    for (const live of this.#entries.values()) {
      live.session.close();
      live.machine.release();
    }
    this.#entries.clear();
  }
}
