import { connectAgent } from "../guest/agent_client.ts";
import type { AgentSession } from "../guest/agent_session.ts";
import { isBangerError } from "../model/errors.ts";
import type { LoopbackPorts } from "../net/loopback_port.ts";
import type { VmHandles } from "../services/vm/handles.ts";
import type { AdoptedVm } from "../services/vm/live.ts";
import type { Machine, Vmm } from "../vmm/contract.ts";

/** How long the agent of a VM that runs already may take to answer. */
const answerTimeoutMs = 15_000;

/** What {@linkcode adoptVm} needs. */
export interface AdoptDeps {
  readonly vmm: Vmm;
  readonly ports: LoopbackPorts;
  readonly randomHex: (bytes: number) => string;
  /** When consoles are read again. */
  readonly consoleFrom: Promise<void>;
}

/**
 * Takes over a VM that an earlier daemon left running: its machine by the handle of the process that has just been seen, its
 * agent by a new session on the link, which may still hold bytes of the old one. `null` when the
 * machine has ended.
 *
 * @throws BangerError when the machine runs but its agent does not answer
 */
export async function adoptVm(
  deps: AdoptDeps,
  handles: VmHandles,
  signal: AbortSignal,
): Promise<AdoptedVm | null> {
  if (handles.machine === null) return null;
  const machine = await deps.vmm.adopt(handles.machine, {
    isSeen: true,
    consoleFrom: deps.consoleFrom,
  });
  if (machine === null) return null;
  try {
    const session = await reached(deps, machine, signal);
    if (handles.network !== null) deps.ports.adopt([handles.network.sshPort]);
    return { machine, session };
  } catch (error) {
    machine.release();
    throw error;
  }
}

/** A VM is not given up for a link that broke once. */
async function reached(
  { randomHex }: Pick<AdoptDeps, "randomHex">,
  machine: Machine,
  signal: AbortSignal,
): Promise<AgentSession> {
  try {
    return await reconnectAgent(machine, randomHex(16), signal);
  } catch (error) {
    if (signal.aborted || isBangerError(error, "timeout")) throw error;
    return await reconnectAgent(machine, randomHex(16), signal);
  }
}

/**
 * Opens a new session on a link that may still hold bytes of an earlier one; `nonce` is 32 random
 * hexadecimal digits.
 *
 * @throws BangerError when the machine has ended or its agent does not answer
 */
export async function reconnectAgent(
  machine: Machine,
  nonce: string,
  signal: AbortSignal,
): Promise<AgentSession> {
  const link = await machine.openAgentLink(signal);
  return await connectAgent(link, { fresh: false, nonce, signal, timeoutMs: answerTimeoutMs });
}
