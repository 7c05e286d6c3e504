import { defineCommand, flag, value, wholeNumber } from "../command.ts";
import { runOperation } from "../run_operation.ts";
import { vmArguments, vmReference } from "../vm_reference.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm stop` */
export const vmStop = defineCommand({
  description: "Asks the guest to power off and ends the VM when it has not done so in time. " +
    "Stopping a VM that does not run succeeds.",
  options: {
    force: flag("Do not ask the guest: like pulling the plug"),
    timeout: value("SECONDS", "How long the guest has", wholeNumber("timeout", 0, 3600)),
  },
  args: { vms: vmArguments },
  run: async (context, { options, args }) => {
    const vms = args.vms.map(vmReference);
    const { force, timeout } = options;
    const timeoutMs = timeout === undefined ? null : timeout * 1000;
    return await withDaemon(context, async (client) => {
      for (const vm of vms) {
        await runOperation(context, client, () => client.call("vm.stop", { vm, force, timeoutMs }));
      }
      return 0;
    });
  },
});
