import type { AgentSession } from "../../guest/agent_session.ts";
import type { VmId } from "../../model/ids.ts";
import type { Machine } from "../../vmm/contract.ts";
import type { Lanes } from "./lanes/lanes.ts";
import type { AutoPorts } from "./ports/auto_ports.ts";
import type { RunningPorts } from "./ports/running_ports.ts";

/** A running VM's machine, the session to its agent and its lanes. */
export interface LiveVm {
  readonly machine: Machine;
  /** Over the machine's own link; replaced when it breaks (`keep_session.ts`). */
  session: AgentSession;
  readonly lanes: Lanes;
  /** Ports of the host that lead to it; they close with the entry. */
  readonly ports: RunningPorts;
  /** What opens ports by itself; `null`: nothing does. */
  autoPorts: AutoPorts | null;
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

  /** Forgets the VM and closes its session and ports; the machine is not touched. */
  drop(id: VmId): void {
    const live = this.#entries.get(id);
    if (live === undefined) return;
    this.#entries.delete(id);
    close(live);
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
      close(live);
      live.machine.release();
    }
    this.#entries.clear();
  }
}

function close({ autoPorts, ports, session }: LiveVm): void {
  autoPorts?.stop();
  ports.closeAll();
  session.close();
}
