import { checkName } from "../../model/names.ts";
import { defineCommand, flag } from "../command.ts";
import { bytesText, momentText } from "../render/amounts.ts";
import { publicationFields, sourceText } from "../render/artefact_source.ts";
import { jsonText } from "../render/json_text.ts";
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
    context.out.write(
      options.json ? jsonText({ image }) : fields([
        ["Name", image.name],
        ["Digest", image.digest],
        ["Source", sourceText(image)],
        ...publicationFields(image),
        ["Architecture", image.arch],
        ["Kernel", image.kernel],
        ["Size", `${bytesText(image.virtualBytes)} (${bytesText(image.diskBytes)} on the host)`],
        ["Created", momentText(image.createdAtMs)],
        ["Managed", image.managed ? "yes" : "no"],
        ["Root disk", image.rootfsPath],
        ["Used by", image.usedBy.join(", ") || "no VM"],
      ]),
    );
    return 0;
  },
});
