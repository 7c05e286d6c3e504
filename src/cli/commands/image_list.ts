import { defineCommand, flag } from "../command.ts";
import { ageText, bytesText } from "../render/amounts.ts";
import { jsonText } from "../render/json_text.ts";
import { printableLine } from "../render/printable.ts";
import { table } from "../render/table.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger image list` */
export const imageList = defineCommand({
  description:
    "SIZE is what the image takes on the host: blocks that are really allocated, and downloads " +
    "that are kept of it. SHARED is how much of it other images use, too.",
  options: {
    json: flag("Print JSON"),
  },
  args: {},
  run: async (context, { options }) => {
    const { images } = await withDaemon(context, (client) => client.call("image.list", {}));
    if (options.json) {
      context.out.write(jsonText({ images }));
      return 0;
    }
    const nowMs = context.wallClockMs();
    const rows = images.map((image) => [
      image.name,
      bytesText(image.diskBytes + image.blobBytes),
      image.sharedBytes === 0 ? "-" : bytesText(image.sharedBytes),
      image.arch,
      image.kernel,
      String(image.usedBy.length),
      ageText(nowMs - image.createdAtMs),
      printableLine(image.source, context.out.isTerminal),
    ]);
    const header = ["NAME", "SIZE", "SHARED", "ARCH", "KERNEL", "VMS", "AGE", "SOURCE"];
    const align = ["left", "right", "right", "left", "left", "right", "right", "left"] as const;
    context.out.write(table(header, rows, align));
    return 0;
  },
});
