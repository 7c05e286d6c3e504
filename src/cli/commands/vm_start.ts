import { defineCommand } from "../command.ts";
import { runOperation } from "../run_operation.ts";
import { vmArgument, vmReference } from "../vm_reference.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm start` */
export const vmStart = defineCommand({
  description: "Waits until the guest answers.",
  options: {},
  args: { vm: vmArgument },
  run: async (context, { args }) => {
    const vm = vmReference(args.vm);
    return await withDaemon(context, async (client) => {
      await runOperation(context, client, () => client.call("vm.start", { vm }));
      if (!context.quiet) {
        context.err.write(`VM "${vm}" runs; a shell in it: banger vm ssh ${vm}\n`);
      }
      return 0;
    });
  },
});
