import { defineCommand } from "../command.ts";
import { eachVm } from "../each_vm.ts";
import { runOperation } from "../run_operation.ts";
import { checkSelection, selection, selectVms } from "../select_vms.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm kill` */
export const vmKill = defineCommand({
  description: "Like pulling the plug: the guest is not asked, what it had not written is lost. " +
    "The same as banger vm stop --force.",
  ...selection,
  run: async (context, { options, args }) => {
    const selected = { ...options, ...args };
    checkSelection(selected);
    return await withDaemon(context, async (client) => {
      const targets = await selectVms(client, selected, ["starting", "running", "stopping"]);
      return await eachVm(context, targets, async ({ ref }) => {
        const params = { vm: ref, force: true, timeoutMs: 0 };
        await runOperation(context, client, () => client.call("vm.stop", params));
      });
    });
  },
});
