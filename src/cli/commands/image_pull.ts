import { BangerError } from "../../model/errors.ts";
import { parseImageWord } from "../../model/image_name.ts";
import { checkName } from "../../model/names.ts";
import { defineCommand, flag, value } from "../command.ts";
import { beginRegistryPull, imageOf } from "../registry_image.ts";
import { runOperation } from "../run_operation.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger image pull` */
export const imagePull = defineCommand({
  description:
    "IMAGE is the name of an image that banger builds from Debian packages, or the reference\n" +
    "of one in a registry, which has a slash, a colon or an at sign: alpine:3.20,\n" +
    "localhost:5000/team/app@sha256:… . Does nothing when it is here already.",
  options: {
    name: value("NAME", "Its name here (of a registry's image)", (t) => checkName("image", t)),
    refresh: flag("Pull it again although it is here"),
  },
  args: {
    image: { count: "one", placeholder: "IMAGE", summary: "Name or reference of the image" },
  },
  examples: [
    ["banger image pull debian-bookworm", "the default image"],
    ["banger image pull --name alpine alpine:3.20", "an image of a registry, under a name"],
  ],
  run: async (context, { options, args }) => {
    const { name, refresh } = options;
    const meant = parseImageWord(args.image);
    if ("name" in meant && name !== undefined) {
      throw new BangerError("invalid", `Cannot name image "${meant.name}" otherwise`, {
        hint: "--name is for images of a registry, such as alpine:3.20",
      });
    }
    return await withDaemon(context, async (client) => {
      const operation = await runOperation(
        context,
        client,
        (signal) =>
          "name" in meant
            ? client.call("image.pull", { image: meant.name, refresh })
            : beginRegistryPull(
              context,
              client,
              meant.reference,
              { name: name ?? null, refresh },
              signal,
            ),
      );
      if (!context.quiet) context.err.write(`Image "${imageOf(operation.result)}" is here\n`);
      return 0;
    });
  },
});
