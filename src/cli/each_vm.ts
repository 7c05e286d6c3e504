import { isBangerError } from "../model/errors.ts";
import type { CliContext } from "./context.ts";
import { exitCodeOf } from "./exit_code.ts";
import { printError } from "./print_error.ts";
import type { Target } from "./select_vms.ts";

/**
 * Does `body` with one VM after the other. One that fails does not keep the others: its error is printed
 * at once, and the exit code is the first failure's. Ctrl-C ends it all.
 *
 * @throws what `body` throws for the only VM, or `cancelled`
 */
export async function eachVm(
  context: CliContext,
  targets: readonly Target[],
  body: (target: Target) => Promise<void>,
): Promise<number> {
  let code = 0;
  for (const target of targets) {
    try {
      await body(target);
    } catch (error) {
      if (targets.length === 1 || !isBangerError(error) || error.kind === "cancelled") throw error;
      printError(context.err, error, context.verbose);
      if (code === 0) code = exitCodeOf(error.kind);
    }
  }
  return code;
}
