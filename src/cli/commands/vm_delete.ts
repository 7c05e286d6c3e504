import { defineCommand, flag } from "../command.ts";
import { runOperation } from "../run_operation.ts";
import { vmArguments, vmReference } from "../vm_reference.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm delete` */
export const vmDelete = defineCommand({
  description: "Deletes VMs with everything on their disks. Refused for a running VM.",
  options: {
    force: flag("Also when it runs", "f"),
  },
  args: { vms: vmArguments },
  run: async (context, { options, args }) => {
    const vms = args.vms.map(vmReference);
    const { force } = options;
    return await withDaemon(context, async (client) => {
      for (const vm of vms) {
        await runOperation(context, client, () => client.call("vm.delete", { vm, force }));
        if (!context.quiet) context.err.write(`Deleted VM "${vm}"\n`);
      }
      return 0;
    });
  },
});
