import { BangerError } from "../../model/errors.ts";
import { restingStates } from "../../model/vm.ts";
import { defineCommand, flag } from "../command.ts";
import { eachSelectedVm } from "../each_vm.ts";
import { runOperation } from "../run_operation.ts";
import { selection } from "../select_vms.ts";

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
    if (stopped && args.vms.length > 0) {
      throw new BangerError("invalid", "Cannot use --stopped with names: it goes with --all");
    }
    const selected = { ...options, ...args };
    const states = stopped ? restingStates : undefined;
    return await eachSelectedVm(context, selected, states, async (client, { ref, name }) => {
      await runOperation(context, client, () => client.call("vm.delete", { vm: ref, force }));
      if (!context.quiet) context.err.write(`Deleted VM "${name}"\n`);
    });
  },
});
