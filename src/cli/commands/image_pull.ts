import { defineCommand, flag } from "../command.ts";
import { checkName } from "../../model/names.ts";
import { runOperation } from "../run_operation.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger image pull` */
export const imagePull = defineCommand({
  description: "Does nothing when the image is here already.",
  options: {
    refresh: flag("Pull it again although it is here"),
  },
  args: {
    image: { count: "one", placeholder: "IMAGE", summary: "Name of the image" },
  },
  run: async (context, { options, args }) => {
    const image = checkName("image", args.image);
    return await withDaemon(context, async (client) => {
      const { refresh } = options;
      await runOperation(context, client, () => client.call("image.pull", { image, refresh }));
      if (!context.quiet) context.err.write(`Image "${image}" is here\n`);
      return 0;
    });
  },
});
