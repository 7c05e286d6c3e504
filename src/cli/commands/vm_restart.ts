import { defineCommand, flag, value, wholeNumber } from "../command.ts";
import { eachVm } from "../each_vm.ts";
import { runOperation } from "../run_operation.ts";
import { checkSelection, selection, selectVms } from "../select_vms.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm restart` */
export const vmRestart = defineCommand({
  description: "Shuts the guest down, boots it again and waits until it answers. " +
    "A VM that does not run is started.",
  options: {
    force: flag("Do not ask the guest to power off: like pulling the plug"),
    timeout: value(
      "SECONDS",
      "How long the guest has to power off",
      wholeNumber("timeout", 0, 3600),
    ),
    ...selection.options,
  },
  args: selection.args,
  run: async (context, { options, args }) => {
    const selected = { ...options, ...args };
    checkSelection(selected);
    const { force, timeout } = options;
    const timeoutMs = timeout === undefined ? null : timeout * 1000;
    return await withDaemon(context, async (client) => {
      const targets = await selectVms(client, selected, ["starting", "running", "stopping"]);
      return await eachVm(context, targets, async ({ ref }) => {
        const params = { vm: ref, force, timeoutMs };
        await runOperation(context, client, () => client.call("vm.restart", params));
      });
    });
  },
});
