import { defineCommand } from "../command.ts";
import { eachVm } from "../each_vm.ts";
import { checkSelection, selection, selectVms } from "../select_vms.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm ping` */
export const vmPing = defineCommand({
  description: "Fails when a VM does not run, or its guest does not answer within 10 seconds.",
  ...selection,
  run: async (context, { options, args }) => {
    const selected = { ...options, ...args };
    checkSelection(selected);
    return await withDaemon(context, async (client) => {
      const targets = await selectVms(client, selected, ["running"]);
      return await eachVm(context, targets, async ({ ref, name }) => {
        const { health } = await client.call("vm.health", { vm: ref });
        context.out.write(`${name} answers after ${health.answeredAfterMs.toFixed(1)} ms\n`);
      });
    });
  },
});
