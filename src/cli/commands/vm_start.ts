import { defineCommand } from "../command.ts";
import { eachVm } from "../each_vm.ts";
import { runOperation } from "../run_operation.ts";
import { checkSelection, selection, selectVms } from "../select_vms.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm start` */
export const vmStart = defineCommand({
  description: "Waits until the guest answers. Starting a VM that runs succeeds.",
  ...selection,
  run: async (context, { options, args }) => {
    const selected = { ...options, ...args };
    checkSelection(selected);
    return await withDaemon(context, async (client) => {
      const targets = await selectVms(client, selected, ["created", "stopped", "failed"]);
      return await eachVm(context, targets, async ({ ref, name }) => {
        await runOperation(context, client, () => client.call("vm.start", { vm: ref }));
        if (!context.quiet) {
          context.err.write(`VM "${name}" runs; a shell in it: banger vm ssh ${name}\n`);
        }
      });
    });
  },
});
