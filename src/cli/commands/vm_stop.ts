import { activeStates } from "../../model/vm.ts";
import { defineCommand, flag } from "../command.ts";
import { eachSelectedVm } from "../each_vm.ts";
import { runOperation } from "../run_operation.ts";
import { selection } from "../select_vms.ts";
import { stopTimeout, timeoutMsOf } from "../stop_option.ts";

/** `banger vm stop` */
export const vmStop = defineCommand({
  description: "Asks the guest to power off and ends the VM when it has not done so in time. " +
    "Stopping a VM that does not run succeeds.",
  options: {
    force: flag("Do not ask the guest: like pulling the plug"),
    timeout: stopTimeout,
    ...selection.options,
  },
  args: selection.args,
  examples: [["banger vm stop --all", "every VM that runs"]],
  run: (context, { options, args }) => {
    const { force } = options;
    const timeoutMs = timeoutMsOf(options.timeout);
    const selected = { ...options, ...args };
    return eachSelectedVm(context, selected, activeStates, async (client, { ref }) => {
      const params = { vm: ref, force, timeoutMs };
      await runOperation(context, client, () => client.call("vm.stop", params));
    });
  },
});
