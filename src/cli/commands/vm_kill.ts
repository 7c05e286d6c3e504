import { activeStates } from "../../model/vm.ts";
import { defineCommand } from "../command.ts";
import { eachSelectedVm } from "../each_vm.ts";
import { runOperation } from "../run_operation.ts";
import { selection } from "../select_vms.ts";

/** `banger vm kill` */
export const vmKill = defineCommand({
  description: "Like pulling the plug: the guest is not asked, what it had not written is lost. " +
    "The same as banger vm stop --force.",
  ...selection,
  run: (context, { options, args }) => {
    const selected = { ...options, ...args };
    return eachSelectedVm(context, selected, activeStates, async (client, { ref }) => {
      const params = { vm: ref, force: true, timeoutMs: 0 };
      await runOperation(context, client, () => client.call("vm.stop", params));
    });
  },
});
