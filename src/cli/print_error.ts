import { BangerError, reasonOf } from "../model/errors.ts";
import { colours } from "./render/colours.ts";
import { printable } from "./render/printable.ts";
import type { Output } from "./context.ts";

/** Detail of so many lines is shown without `--verbose`. */
const shortDetailLines = 6;

/** Prints a failure: what is so, why in detail, what to do next. */
export function printError(err: Output, error: unknown, verbose: boolean): void {
  const { red, dim } = colours(err.colour);
  const show = (text: string) => printable(text, err.isTerminal);
  if (!(error instanceof BangerError)) {
    err.write(`${red("Error:")} Cannot go on: ${show(reasonOf(error))}\n`);
    err.write(
      `  hint: ${"This is a defect in banger; please report it with the output of --verbose"}\n`,
    );
    if (verbose && error instanceof Error) err.write(`${indent(show(error.stack ?? ""))}\n`);
    return;
  }
  err.write(`${red("Error:")} ${show(error.message)}\n`);
  const lines = (error.detail ?? "").trimEnd().split("\n").filter((line) => line !== "");
  const shown = verbose ? lines : lines.slice(-shortDetailLines);
  for (const line of shown) err.write(dim(`  | ${show(line)}`) + "\n");
  if (shown.length < lines.length) {
    err.write(dim(`  | (${lines.length - shown.length} earlier lines: --verbose)`) + "\n");
  }
  if (error.hint !== undefined) err.write(`  hint: ${show(error.hint)}\n`);
  if (verbose) {
    for (const cause of causes(error)) {
      err.write(dim(`  cause: ${show(cause)}`) + "\n");
    }
  }
}

function* causes(error: Error): Generator<string> {
  let cause = error.cause;
  for (let depth = 0; depth < 8 && cause !== undefined; depth++) {
    yield reasonOf(cause);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
}

function indent(text: string): string {
  return text.split("\n").map((line) => `  | ${line}`).join("\n");
}
