import { defineCommand, flag, value, wholeNumber } from "../command.ts";
import { eachVm } from "../each_vm.ts";
import { runOperation } from "../run_operation.ts";
import { checkSelection, selection, selectVms } from "../select_vms.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm stop` */
export const vmStop = defineCommand({
  description: "Asks the guest to power off and ends the VM when it has not done so in time. " +
    "Stopping a VM that does not run succeeds.",
  options: {
    force: flag("Do not ask the guest: like pulling the plug"),
    timeout: value("SECONDS", "How long the guest has", wholeNumber("timeout", 0, 3600)),
    ...selection.options,
  },
  args: selection.args,
  examples: [["banger vm stop --all", "every VM that runs"]],
  run: async (context, { options, args }) => {
    const selected = { ...options, ...args };
    checkSelection(selected);
    const { force, timeout } = options;
    const timeoutMs = timeout === undefined ? null : timeout * 1000;
    return await withDaemon(context, async (client) => {
      const targets = await selectVms(client, selected, ["starting", "running", "stopping"]);
      return await eachVm(context, targets, async ({ ref }) => {
        const params = { vm: ref, force, timeoutMs };
        await runOperation(context, client, () => client.call("vm.stop", params));
      });
    });
  },
});
