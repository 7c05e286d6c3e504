import { BangerError, isBangerError } from "../model/errors.ts";
import type { VmRecord } from "../model/vm.ts";
import type { LiveVm } from "../services/vm/live.ts";
import { DenoLink } from "../transport/deno_link.ts";
import { connectVsock } from "../vmm/vsock.ts";
import type { ByteLink } from "../wire/link.ts";
import { agentRawPort } from "../wire/messages.ts";

/** How long a guest may take to accept over vsock; one that listens does so at once. */
const vsockTimeoutMs = 500;

/** The two ways to a guest's port of raw connections. */
export interface RawWays {
  readonly vsock: (cid: number) => Promise<ByteLink>;
  /** Through the port of the host's loopback that leads to it. */
  readonly tcp: (hostPort: number) => Promise<ByteLink>;
}

const realWays: RawWays = {
  vsock: async (cid) => new DenoLink(await connectVsock(cid, agentRawPort, vsockTimeoutMs)),
  // Debian bookworm's passt does not acknowledge again what a guest sends again: when an
  // acknowledgement is lost under load both ways, the connection stands still for good (seen with
  // 1 GiB both ways: the guest in retransmission, passt silent). The agent link is slower and safe.
  tcp: () =>
    Promise.reject(new BangerError("unavailable", "Raw connections do not go through this passt")),
};

/**
 * Opens raw connections to guests: over vsock where the VM has it, else over TCP through the VM's
 * network. A guest that once did not answer over vsock is not asked again during this run.
 */
export function rawOpener(
  ways: RawWays = realWays,
): (vm: Pick<VmRecord, "config" | "runtime">, live: LiveVm) => Promise<ByteLink> {
  const withoutVsock = new WeakSet<LiveVm>();
  return async (vm, live) => {
    const cid = live.machine.handle.vsockCid;
    if (cid !== null && !withoutVsock.has(live)) {
      try {
        return await ways.vsock(cid);
      } catch (error) {
        // A refusal costs nothing and may be over next time: its listener is still to come.
        if (isBangerError(error, "timeout")) withoutVsock.add(live);
      }
    }
    const port = vm.runtime?.bulkPort ?? null;
    if (port !== null) return await ways.tcp(port);
    throw new BangerError("unavailable", `VM "${vm.config.name}" has no port of raw connections`);
  };
}
