import { activeStates } from "../../model/vm.ts";
import { defineCommand, flag } from "../command.ts";
import { eachSelectedVm } from "../each_vm.ts";
import { runOperation } from "../run_operation.ts";
import { selection } from "../select_vms.ts";
import { stopTimeout, timeoutMsOf } from "../stop_option.ts";

/** `banger vm restart` */
export const vmRestart = defineCommand({
  description: "Shuts the guest down, boots it again and waits until it answers. " +
    "A VM that does not run is started.",
  options: {
    force: flag("Do not ask the guest to power off: like pulling the plug"),
    timeout: stopTimeout,
    ...selection.options,
  },
  args: selection.args,
  run: (context, { options, args }) => {
    const { force } = options;
    const timeoutMs = timeoutMsOf(options.timeout);
    const selected = { ...options, ...args };
    return eachSelectedVm(context, selected, activeStates, async (client, { ref }) => {
      const params = { vm: ref, force, timeoutMs };
      await runOperation(context, client, () => client.call("vm.restart", params));
    });
  },
});
