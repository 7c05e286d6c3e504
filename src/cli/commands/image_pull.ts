import { BangerError } from "../../model/errors.ts";
import { parseImageWord } from "../../model/image_name.ts";
import { checkName } from "../../model/names.ts";
import { defineCommand, flag, value } from "../command.ts";
import { withLocalPull } from "../local_image.ts";
import { beginRegistryPull, imageOf } from "../registry_image.ts";
import { runOperation } from "../run_operation.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger image pull` */
export const imagePull = defineCommand({
  description: "IMAGE is\n" +
    "- the name of an image of the catalog, or else of one that banger builds from Debian\n" +
    "  packages;\n" +
    "- the reference of one in a registry, which has a slash, a colon or an at sign:\n" +
    "  alpine:3.20, localhost:5000/team/app@sha256:… ;\n" +
    "- oci:DIR[:TAG], an OCI image layout;\n" +
    "- docker-archive:FILE[:NAME:TAG], what docker save or podman save wrote.\n" +
    "Does nothing when it is here already.",
  options: {
    name: value("NAME", "Its name here (of a reference or a file)", (t) => checkName("image", t)),
    refresh: flag("Pull it again although it is here"),
  },
  args: {
    image: {
      count: "one",
      placeholder: "IMAGE",
      summary: "Name or reference, or oci:… or docker-archive:…",
    },
  },
  examples: [
    ["banger image pull debian-bookworm", "the default image"],
    ["banger image pull --name alpine alpine:3.20", "an image of a registry, under a name"],
    ["banger image pull docker-archive:app.tar", "an image that docker save wrote"],
  ],
  run: async (context, { options, args }) => {
    const { name, refresh } = options;
    const meant = parseImageWord(args.image);
    if ("name" in meant && name !== undefined) {
      throw new BangerError("invalid", `Cannot name image "${meant.name}" otherwise`, {
        hint: "--name is for images of registries and files, such as alpine:3.20",
      });
    }
    const how = { name: name ?? null, refresh };
    return await withDaemon(context, async (client) => {
      const run = (begin: Parameters<typeof runOperation>[2]) =>
        runOperation(context, client, begin);
      const operation = "name" in meant
        ? await run(() => client.call("image.pull", { image: meant.name, refresh }))
        : "local" in meant
        ? await withLocalPull(context, client, meant.local, how, run)
        : await run((signal) => beginRegistryPull(context, client, meant.reference, how, signal));
      if (!context.quiet) context.err.write(`Image "${imageOf(operation.result)}" is here\n`);
      return 0;
    });
  },
});
