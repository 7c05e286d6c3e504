import { BangerError } from "../model/errors.ts";
import type { CliContext } from "./context.ts";

const longestAnswer = 1024;

/**
 * Only a terminal can be asked: a script says `--force`.
 *
 * @param what what cannot be done without an answer, such as `prune images`
 * @throws BangerError `invalid` when stdin or stderr is no terminal
 */
export function checkCanAsk({ input, err }: CliContext, what: string): void {
  if (input.isTerminal && err.isTerminal) return;
  throw new BangerError("invalid", `Cannot ${what} without asking: there is no terminal`, {
    hint: "Give --force to go on without asking, or --dry-run to see what would be done",
  });
}

/** Asks a question on the terminal; `y` and `yes` mean yes, everything else no. */
export async function ask(context: CliContext, question: string): Promise<boolean> {
  context.err.write(`${question} [y/N] `);
  return /^\s*y(es)?\s*$/i.test(await firstLine(context));
}

async function firstLine({ input }: CliContext): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(256);
  let text = "";
  while (!text.includes("\n") && text.length < longestAnswer) {
    const count = await input.read(buffer);
    if (count === null) break;
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
  return text.split("\n")[0] ?? "";
}
