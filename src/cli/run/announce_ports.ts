import type { ParamsOf } from "../../api/methods.ts";
import type { VmForward, VmView } from "../../api/vm.ts";
import { publishAddress } from "../../model/published_port.ts";
import type { CliContext } from "../context.ts";

/** Says what comes and goes until it is disposed of. */
export interface PortAnnouncer {
  stop(): Promise<void>;
}

/**
 * Says on stderr which ports of the host begin and cease to lead to what listens in the VM, while a command of
 * its runs. Over a connection of its own; when that fails, nothing more is said.
 */
export function announcePorts(context: CliContext, vm: VmView): PortAnnouncer {
  const stop = new AbortController();
  const done = watch(context, vm, stop.signal).catch(() => {
    // The VM or its daemon has ended, which the command tells.
  });
  return {
    stop: async () => {
      stop.abort();
      await done;
    },
  };
}

async function watch(context: CliContext, vm: VmView, signal: AbortSignal): Promise<void> {
  const client = await context.connect({ start: "never", signal });
  // A terminal is the guest's while its shell runs, and then a line feed alone does not go to its beginning.
  const [begin, end] = context.err.isTerminal ? ["\r", "\r\n"] : ["", "\n"];
  let known = new Map<number, VmForward>();
  try {
    let after: number | null = null;
    while (!signal.aborted) {
      const params: ParamsOf<"vm.forwards"> = { vm: vm.id, after };
      const { revision, forwards } = await client.call("vm.forwards", params, signal);
      after = revision;
      const auto = forwards.filter(({ reason }) => reason === "auto");
      const now = new Map(auto.map((forward) => [forward.hostPort, forward]));
      for (const { hostPort, guestPort } of now.values()) {
        if (known.has(hostPort)) continue;
        const text = `Port ${guestPort} of the guest is ${publishAddress}:${hostPort} here`;
        context.err.write(`${begin}${text}${end}`);
      }
      for (const hostPort of known.keys()) {
        if (now.has(hostPort)) continue;
        context.err.write(`${begin}${publishAddress}:${hostPort} leads nowhere any more${end}`);
      }
      known = now;
    }
  } finally {
    client.close();
  }
}
