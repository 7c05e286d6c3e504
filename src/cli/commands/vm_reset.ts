import { defineCommand, flag } from "../command.ts";
import { eachSelectedVm } from "../each_vm.ts";
import { pulledImage } from "../registry_image.ts";
import { runOperation } from "../run_operation.ts";
import { selection } from "../select_vms.ts";
import { vmOptions } from "../vm_options.ts";

/** `banger vm reset` */
export const vmReset = defineCommand({
  description:
    "Throws the system disks away: packages, settings and services are as the image has them again. The work disk, " +
    "which is the home directory, stays, as do name, size and labels. Refused for a VM that runs and for one without a " +
    "work disk.",
  options: {
    image: { ...vmOptions.image, summary: "Another image, or the newest version of the same one" },
    force: flag("Also when it runs, which stops it, or when nothing would be kept", "f"),
    ...selection.options,
  },
  args: selection.args,
  examples: [
    ["banger vm stop web && banger vm reset web", "the system as it was at first"],
    ["banger vm reset --force --image debian-bookworm-docker web", "another image, the same files"],
  ],
  run: async (context, { options, args }) => {
    const { force } = options;
    const selected = { ...options, ...args };
    return await eachSelectedVm(context, selected, undefined, async (client, { ref, name }) => {
      const image = await pulledImage(context, client, options.image ?? null);
      await runOperation(context, client, () => client.call("vm.reset", { vm: ref, image, force }));
      if (!context.quiet) context.err.write(`Reset VM "${name}"\n`);
    });
  },
});
