import { type ExecExit, waitForFile } from "../src/wire/messages.ts";
import type { MuxStream } from "../src/wire/mux_stream.ts";
import type { AgentContext } from "./context.ts";
import { exists, readText } from "./files.ts";
import { signalNumber, signalOf } from "./signals.ts";
import { sleep } from "./sleep.ts";

const lookMs = 100;
/** A service that does not come up must not keep anybody out. */
const mostMs = 60_000;

/**
 * Whether commands have to wait for something that the image names in `waitForFile`: a service that they need
 * and that the image's init starts after the first command could run. Never again once it was there.
 */
export function mustWait(context: AgentContext): boolean {
  context.isAwaited ||= !isMissing(context);
  return !context.isAwaited;
}

/** Settles when it is there, after a minute at most. */
export async function imageIsReady(context: AgentContext): Promise<void> {
  for (let waitedMs = 0; mustWait(context) && waitedMs < mostMs; waitedMs += lookMs) {
    await sleep(lookMs);
  }
  context.isAwaited = true;
}

/** The same for a command that is to start then; how it ended when that comes before. */
export async function commandMayStart(
  context: AgentContext,
  stream: MuxStream,
): Promise<ExecExit | undefined> {
  const { promise, resolve } = Promise.withResolvers<ExecExit>();
  stream.onControl = (message) => {
    const signal = signalOf(message);
    if (signal !== undefined) resolve({ how: "signaled", signal: signalNumber(signal, 0) });
  };
  const gone = stream.ended.then((): ExecExit => ({ how: "signaled", signal: 1 }));
  return await Promise.race([imageIsReady(context).then(() => undefined), promise, gone]);
}

function isMissing({ root }: AgentContext): boolean {
  const [path = ""] = (readText(`${root}${waitForFile}`) ?? "").split("\n", 1);
  return path.startsWith("/") && !path.includes("\0") && !exists(`${root}${path}`);
}
