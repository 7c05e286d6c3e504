import { isBangerError } from "../model/errors.ts";
import type { CliContext } from "./context.ts";
import { interruptible } from "./interruptible.ts";
import { pause } from "../sync/pause.ts";

/** How often it is asked for, in milliseconds. */
const everyMs = 1_000;

/**
 * Prints `text` whenever it changes, until Ctrl-C, which is no failure: over itself on a terminal, one
 * after the other, with an empty line between, elsewhere.
 */
export async function watchText(
  context: CliContext,
  text: (signal: AbortSignal) => Promise<string>,
): Promise<number> {
  const { out } = context;
  let shown: string | undefined;
  try {
    return await interruptible(context, async (signal) => {
      for (;;) {
        const next = await text(signal);
        if (next !== shown) {
          // Cursor home, each line cleared behind its end, then everything below.
          if (out.isTerminal) {
            const start = shown === undefined ? "\x1b[2J\x1b[H" : "\x1b[H";
            out.write(`${start}${next.replaceAll("\n", "\x1b[K\n")}\x1b[J`);
          } else out.write(shown === undefined ? next : `\n${next}`);
          shown = next;
        }
        await pause(everyMs, signal);
        signal.throwIfAborted();
      }
    });
  } catch (error) {
    if (isBangerError(error, "cancelled")) return 0;
    throw error;
  }
}
