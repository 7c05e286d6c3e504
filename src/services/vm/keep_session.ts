import type { VmId } from "../../model/ids.ts";
import type { LiveTable, LiveVm } from "./live.ts";
import type { VmServiceDeps } from "./vm_service.ts";
import { pause } from "../../sync/pause.ts";

/** Waits before a session is opened again, in ms: short once, longer for a guest that keeps breaking it. */
const firstWaitMs = 10;
const longestWaitMs = 10_000;

/** What {@linkcode keepSession} needs. */
export type KeepSessionDeps = Pick<VmServiceDeps, "reconnect" | "log"> & {
  readonly live: Pick<LiveTable, "get">;
  readonly monotonicMs?: () => number;
};

/**
 * Opens the session to a VM's agent again whenever it breaks while the VM runs: the guest has said something that
 * breaks a rule, or its agent was started anew. What was under way on it is lost; what comes next is not. Takes
 * no lock and changes nothing else. Settles when the VM is let go of; never rejects.
 */
export async function keepSession(deps: KeepSessionDeps, id: VmId, live: LiveVm): Promise<void> {
  const monotonicMs = deps.monotonicMs ?? (() => performance.now());
  const over = new AbortController();
  const end = () => over.abort();
  live.machine.ended.then(end, end);
  for (let waitMs = firstWaitMs;;) {
    const openedMs = monotonicMs();
    await live.session.closed;
    if (monotonicMs() - openedMs > longestWaitMs) waitMs = firstWaitMs;
    try {
      await pause(waitMs, over.signal);
      waitMs = Math.min(longestWaitMs, 2 * waitMs);
      if (deps.live.get(id) !== live) return;
      const session = await deps.reconnect(live.machine, over.signal);
      // Let go of meanwhile: nobody would close it.
      if (deps.live.get(id) !== live) return session.close();
      live.session = session;
      live.autoPorts?.follow(session);
      deps.log.info(`the session to the agent of VM ${id} was opened again`);
    } catch {
      // The VM has ended, or its agent does not answer: then it is asked again.
      if (over.signal.aborted || deps.live.get(id) !== live) return;
    }
  }
}
