import { checkName } from "../../model/names.ts";
import { defineCommand, flag } from "../command.ts";
import { bytesText, momentText } from "../render/amounts.ts";
import { jsonText } from "../render/json_text.ts";
import { fields } from "../render/table.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger kernel show` */
export const kernelShow = defineCommand({
  description: "",
  options: {
    json: flag("Print JSON"),
  },
  args: {
    kernel: { count: "one", placeholder: "KERNEL", summary: "Name of the kernel" },
  },
  run: async (context, { options, args }) => {
    const name = checkName("kernel", args.kernel);
    const { kernel } = await withDaemon(
      context,
      (client) => client.call("kernel.show", { kernel: name }),
    );
    context.out.write(
      options.json ? jsonText({ kernel }) : fields([
        ["Name", kernel.name],
        ["Version", kernel.version],
        ["Digest", kernel.digest],
        ["Source", kernel.source],
        ["Architecture", kernel.arch],
        ["Size", bytesText(kernel.diskBytes)],
        ["Created", momentText(kernel.createdAtMs)],
        ["Used by", kernel.usedBy.join(", ") || "no VM"],
      ]),
    );
    return 0;
  },
});
