import { defineCommand, flag } from "../command.ts";
import { runOperation } from "../run_operation.ts";
import { noImageDefaults, vmOptions, vmParams } from "../vm_options.ts";
import { vmOf } from "../vm_of.ts";
import { pulledImage } from "../registry_image.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm create` */
export const vmCreate = defineCommand({
  description:
    "Prints the VM's name, or with --detach the operation's id. What no option says comes from the configuration.",
  options: {
    ...vmOptions,
    noImageDefaults,
    start: flag("Start it as well and wait until it answers"),
    detach: flag("Print the operation's id at once, and let it go on without this command", "d"),
  },
  args: {},
  examples: [
    ["banger vm create --name web --memory 4G", "a VM that vm start boots"],
    ["banger operation wait $(banger vm create --start --detach)", "the same in two steps"],
  ],
  run: async (context, { options }) => {
    const params = {
      ...vmParams(options),
      workspace: null,
      ephemeral: false,
      lease: false,
      start: options.start,
      imageDefaults: !options.noImageDefaults,
      gitIdentity: null,
    };
    return await withDaemon(context, async (client) => {
      const image = await pulledImage(context, client, params.image);
      if (options.detach) {
        const { operationId } = await client.call("vm.create", { ...params, image });
        context.out.write(`${operationId}\n`);
        return 0;
      }
      const operation = await runOperation(
        context,
        client,
        () => client.call("vm.create", { ...params, image }),
      );
      context.out.write(`${vmOf(operation).name}\n`);
      return 0;
    });
  },
});
