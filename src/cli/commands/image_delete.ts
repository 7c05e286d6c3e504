import { checkName } from "../../model/names.ts";
import { defineCommand } from "../command.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger image delete` */
export const imageDelete = defineCommand({
  description: "Refused while a VM uses the image.",
  options: {},
  args: {
    names: { count: "many", placeholder: "IMAGE", summary: "Name of the image" },
  },
  run: async (context, { args }) => {
    const names = args.names.map((name) => checkName("image", name));
    return await withDaemon(context, async (client) => {
      for (const name of names) {
        await client.call("image.delete", { image: name });
        if (!context.quiet) context.err.write(`Deleted image "${name}"\n`);
      }
      return 0;
    });
  },
});
