import { restingStates } from "../../model/vm.ts";
import { defineCommand } from "../command.ts";
import { eachSelectedVm } from "../each_vm.ts";
import { runOperation } from "../run_operation.ts";
import { selection } from "../select_vms.ts";

/** `banger vm start` */
export const vmStart = defineCommand({
  description: "Waits until the guest answers. Starting a VM that runs succeeds.",
  ...selection,
  run: (context, { options, args }) => {
    const selected = { ...options, ...args };
    return eachSelectedVm(context, selected, restingStates, async (client, { ref, name }) => {
      await runOperation(context, client, () => client.call("vm.start", { vm: ref }));
      if (context.quiet) return;
      context.err.write(`VM "${name}" runs; a shell in it: banger vm ssh ${name}\n`);
    });
  },
});
