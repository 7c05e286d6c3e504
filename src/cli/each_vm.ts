import { isBangerError } from "../model/errors.ts";
import type { VmState } from "../model/vm.ts";
import type { CliContext, DaemonPort } from "./context.ts";
import { exitCodeOf } from "./exit_code.ts";
import { printError } from "./print_error.ts";
import { checkSelection, type Selected, selectVms, type Target } from "./select_vms.ts";
import { withDaemon } from "./with_daemon.ts";

/**
 * Does `body` with every VM that a command line means, one after the other; see {@linkcode eachVm}.
 *
 * @param states of the VMs that are chosen by what they are; all when left out
 */
export async function eachSelectedVm(
  context: CliContext,
  selected: Selected,
  states: readonly VmState[] | undefined,
  body: (client: DaemonPort, target: Target) => Promise<void>,
): Promise<number> {
  checkSelection(selected);
  return await withDaemon(context, async (client) => {
    const targets = await selectVms(client, selected, states);
    return await eachVm(context, targets, (target) => body(client, target));
  });
}

/**
 * Does `body` with one VM after the other. One that fails does not keep the others: its error is printed
 * at once, and the exit code is the first failure's. Ctrl-C ends it all.
 *
 * @throws what `body` throws for the only VM, or `cancelled`
 */
async function eachVm(
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
