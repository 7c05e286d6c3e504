import { checkName } from "../../model/names.ts";
import { defineCommand } from "../command.ts";
import { runOperation } from "../run_operation.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger image promote` */
export const imagePromote = defineCommand({
  description:
    "The copy shares the file's blocks where the file system can, and keeps its holes. VMs that " +
    "were made before go on with the file itself.",
  options: {},
  args: {
    image: { count: "one", placeholder: "IMAGE", summary: "Name of the image" },
  },
  run: async (context, { args }) => {
    const image = checkName("image", args.image);
    return await withDaemon(context, async (client) => {
      await runOperation(context, client, () => client.call("image.promote", { image }));
      if (!context.quiet) context.err.write(`Image "${image}" is banger's own\n`);
      return 0;
    });
  },
});
