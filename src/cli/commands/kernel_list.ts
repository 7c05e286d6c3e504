import { defineCommand, flag } from "../command.ts";
import { ageText, bytesText } from "../render/amounts.ts";
import { jsonText } from "../render/json_text.ts";
import { table } from "../render/table.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger kernel list` */
export const kernelList = defineCommand({
  description: "SIZE is what the kernel takes on the host.",
  options: {
    json: flag("Print JSON"),
  },
  args: {},
  run: async (context, { options }) => {
    const { kernels } = await withDaemon(context, (client) => client.call("kernel.list", {}));
    if (options.json) {
      context.out.write(jsonText({ kernels }));
      return 0;
    }
    const nowMs = context.wallClockMs();
    const rows = kernels.map((kernel) => [
      kernel.name,
      kernel.version,
      kernel.format,
      bytesText(kernel.diskBytes),
      kernel.arch,
      String(kernel.usedBy.length),
      ageText(nowMs - kernel.createdAtMs),
      kernel.source,
    ]);
    const header = ["NAME", "VERSION", "FORMAT", "SIZE", "ARCH", "VMS", "AGE", "SOURCE"];
    const align = ["left", "left", "left", "right", "left", "right", "right", "left"] as const;
    context.out.write(table(header, rows, align));
    return 0;
  },
});
