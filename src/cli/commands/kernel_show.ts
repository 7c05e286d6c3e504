import { checkName } from "../../model/names.ts";
import { defineCommand, flag } from "../command.ts";
import { bytesText, momentText } from "../render/amounts.ts";
import { publicationFields, sourceText } from "../render/artefact_source.ts";
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
        ["Format", kernel.format],
        ["Digest", kernel.digest],
        ["Source", sourceText(kernel)],
        ...publicationFields(kernel),
        ...(kernel.commandLine.length === 0
          ? []
          : [["Command line", kernel.commandLine.join(" ")] as const]),
        ["Architecture", kernel.arch],
        ["Size", bytesText(kernel.diskBytes)],
        ["Created", momentText(kernel.createdAtMs)],
        ["Used by", kernel.usedBy.join(", ") || "no VM"],
      ]),
    );
    return 0;
  },
});
