import { checkName } from "../../model/names.ts";
import { defineCommand } from "../command.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger kernel delete` */
export const kernelDelete = defineCommand({
  description: "Refused while a VM uses the kernel.",
  options: {},
  args: {
    names: { count: "many", placeholder: "KERNEL", summary: "Name of the kernel" },
  },
  run: async (context, { args }) => {
    const names = args.names.map((name) => checkName("kernel", name));
    return await withDaemon(context, async (client) => {
      for (const name of names) {
        await client.call("kernel.delete", { kernel: name });
        if (!context.quiet) context.err.write(`Deleted kernel "${name}"\n`);
      }
      return 0;
    });
  },
});
