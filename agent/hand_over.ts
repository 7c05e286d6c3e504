import { handOverFifo } from "../src/wire/messages.ts";
import type { AgentContext } from "./context.ts";
import { tell } from "./files.ts";
import { sleep } from "./sleep.ts";

/** How long after the identity the image's init starts when no command comes. */
const handOverDelayMs = 400;
/** How long a command has the processors for itself, from its start, and how often that is looked at. */
const headStartMs = 250;
const lookMs = 50;
/** The image's init starts after so long, whatever is being started. */
const mostMs = 2_000;

/**
 * Lets the image's own init start, a moment from now: a command that comes right after the identity is
 * started, and a short one has ended, before the init takes the processors. Does nothing when it has started.
 */
export async function handOver(context: AgentContext): Promise<void> {
  let waitedMs = handOverDelayMs;
  await sleep(handOverDelayMs);
  for (; context.headStarts > 0 && waitedMs < mostMs; waitedMs += lookMs) await sleep(lookMs);
  tell(`${context.root}${handOverFifo}`);
}

/** Keeps the image's init from starting while `start` runs and a moment longer. */
export function withHeadStart<T>(context: AgentContext, start: () => T): T {
  context.headStarts += 1;
  try {
    return start();
  } finally {
    void sleep(headStartMs).then(() => context.headStarts -= 1);
  }
}
