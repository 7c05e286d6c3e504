import { handOverFifo } from "../src/wire/messages.ts";
import type { AgentContext } from "./context.ts";
import { tell } from "./files.ts";

/** A command that comes right after the identity is started before the image's init is. */
const handOverDelayMs = 400;

/** Lets the image's own init start, a moment from now; does nothing when it has started. */
export function handOver(context: AgentContext): void {
  setTimeout(() => tell(`${context.root}${handOverFifo}`), handOverDelayMs);
}
