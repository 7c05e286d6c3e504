import { type ListenersControl, maxWatchedPorts } from "../src/wire/port_watch.ts";
import type { MuxStream } from "../src/wire/mux_stream.ts";
import type { AgentContext } from "./context.ts";
import { tcpSockets } from "./listeners.ts";
import { sleep } from "./sleep.ts";

/** How often it is looked, at most. */
const lookMs = 1000;

/** Looking takes no more than one part in so many of a processor, however many sockets there are. */
const shareOfTime = 100;

/**
 * Says which TCP ports listen whenever that has changed, until the host resets the stream. The kernel tells
 * nobody of a new listener, so it is looked for; reading the two tables takes a fraction of a millisecond.
 */
export async function watchPorts(context: AgentContext, stream: MuxStream): Promise<void> {
  let told: string | null = null;
  while (!stream.isEnded) {
    const begun = performance.now();
    const ports = [...listeningPortsOf(context.root)].sort((a, b) => a - b)
      .slice(0, maxWatchedPorts);
    const message: ListenersControl = { control: "listeners", ports };
    const text = ports.join();
    if (text !== told) stream.control(message);
    told = text;
    await sleep(Math.max(lookMs, (performance.now() - begun) * shareOfTime));
  }
}

function listeningPortsOf(root: string): Set<number> {
  const ports = new Set<number>();
  for (const { isListening, localPort } of tcpSockets(root)) if (isListening) ports.add(localPort);
  return ports;
}
