import { defineCommand } from "../command.ts";
import { eachSelectedVm } from "../each_vm.ts";
import { selection } from "../select_vms.ts";

/** `banger vm ping` */
export const vmPing = defineCommand({
  description: "Fails when a VM does not run, or its guest does not answer within 10 seconds.",
  ...selection,
  run: (context, { options, args }) => {
    const selected = { ...options, ...args };
    return eachSelectedVm(context, selected, ["running"], async (client, { ref, name }) => {
      const { health } = await client.call("vm.health", { vm: ref });
      context.out.write(`${name} answers after ${health.answeredAfterMs.toFixed(1)} ms\n`);
    });
  },
});
