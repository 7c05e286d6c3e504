import { checkName } from "../../model/names.ts";
import { defineCommand, flag } from "../command.ts";
import { bytesText, momentText } from "../render/amounts.ts";
import { publicationFields, sourceText } from "../render/artefact_source.ts";
import { jsonText } from "../render/json_text.ts";
import { printableLine } from "../render/printable.ts";
import { fields } from "../render/table.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger image show` */
export const imageShow = defineCommand({
  description: "",
  options: {
    json: flag("Print JSON"),
  },
  args: {
    image: { count: "one", placeholder: "IMAGE", summary: "Name of the image" },
  },
  run: async (context, { options, args }) => {
    const name = checkName("image", args.image);
    const { image } = await withDaemon(
      context,
      (client) => client.call("image.show", { image: name }),
    );
    const shown = (text: string) => printableLine(text, context.out.isTerminal);
    context.out.write(
      options.json ? jsonText({ image }) : fields([
        ["Name", image.name],
        ["Digest", image.digest],
        ["Source", shown(sourceText(image))],
        ...publicationFields(image),
        ["Architecture", image.arch],
        ["Kernel", image.kernel],
        ["Size", `${bytesText(image.virtualBytes)} (${bytesText(image.diskBytes)} on the host)`],
        ...(image.blobBytes === 0
          ? []
          : [["Downloads", `${bytesText(image.blobBytes)} are kept of it`] as const]),
        ...(image.sharedBytes === 0
          ? []
          : [["Shared", `${bytesText(image.sharedBytes)} of both with other images`] as const]),
        ["Created", momentText(image.createdAtMs)],
        ["Managed", image.managed ? "yes" : "no"],
        ["Root disk", shown(image.rootfsPath)],
        ...(image.workSeed === null ? [] : [["Work seed", image.workSeed.digest] as const]),
        ["Used by", image.usedBy.join(", ") || "no VM"],
      ]),
    );
    return 0;
  },
});
