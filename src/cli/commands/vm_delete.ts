import { BangerError } from "../../model/errors.ts";
import { defineCommand, flag } from "../command.ts";
import { eachVm } from "../each_vm.ts";
import { runOperation } from "../run_operation.ts";
import { checkSelection, selection, selectVms } from "../select_vms.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm delete` */
export const vmDelete = defineCommand({
  description: "Deletes VMs with everything on their disks. Refused for a running VM.",
  options: {
    force: flag("Also when it runs", "f"),
    stopped: flag("With --all or --label: those that do not run"),
    ...selection.options,
  },
  args: selection.args,
  examples: [["banger vm delete --all --stopped", "every VM that does not run"]],
  run: async (context, { options, args }) => {
    const { force, stopped } = options;
    const selected = { ...options, ...args };
    checkSelection(selected);
    if (stopped && args.vms.length > 0) {
      throw new BangerError("invalid", "Cannot use --stopped with names: it goes with --all");
    }
    const states = stopped ? ["created", "stopped", "failed"] as const : undefined;
    return await withDaemon(context, async (client) => {
      const targets = await selectVms(client, selected, states);
      return await eachVm(context, targets, async ({ ref, name }) => {
        await runOperation(context, client, () => client.call("vm.delete", { vm: ref, force }));
        if (!context.quiet) context.err.write(`Deleted VM "${name}"\n`);
      });
    });
  },
});
