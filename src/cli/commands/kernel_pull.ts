import { defineCommand, flag } from "../command.ts";
import { checkName } from "../../model/names.ts";
import { runOperation } from "../run_operation.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger kernel pull` */
export const kernelPull = defineCommand({
  description:
    "From the catalog, or else from the Debian archive. Does nothing when it is here\nalready.",
  options: {
    refresh: flag("Pull it again although it is here"),
  },
  args: {
    kernel: { count: "one", placeholder: "KERNEL", summary: "Name of the kernel" },
  },
  run: async (context, { options, args }) => {
    const kernel = checkName("kernel", args.kernel);
    return await withDaemon(context, async (client) => {
      const { refresh } = options;
      await runOperation(context, client, () => client.call("kernel.pull", { kernel, refresh }));
      if (!context.quiet) context.err.write(`Kernel "${kernel}" is here\n`);
      return 0;
    });
  },
});
