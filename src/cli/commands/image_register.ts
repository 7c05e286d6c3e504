import { BangerError } from "../../model/errors.ts";
import { checkName } from "../../model/names.ts";
import { absolutePath } from "../../model/absolute_path.ts";
import { defineCommand, value } from "../command.ts";
import { printableLine } from "../render/printable.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger image register` */
export const imageRegister = defineCommand({
  description:
    "The file has an ext4 file system, is read where it is, and is never written: VMs write to " +
    "disks of their own. When it changes or goes away, VMs that were made of it do not start " +
    "any more; banger image promote makes a copy that stays.",
  options: {
    rootfs: value("FILE", "File with the root file system (needed)"),
    kernel: value("NAME", "Kernel that its VMs boot", (text) => checkName("kernel", text)),
  },
  args: {
    image: { count: "one", placeholder: "NAME", summary: "Its name" },
  },
  examples: [["banger image register mine --rootfs disk.ext4", "then: banger vm run --image mine"]],
  run: async (context, { options, args }) => {
    const name = checkName("image", args.image);
    const { rootfs, kernel } = options;
    if (rootfs === undefined || rootfs === "") {
      throw new BangerError("invalid", `Cannot register image "${name}": no file is named`, {
        hint: `banger image register ${name} --rootfs FILE`,
      });
    }
    return await withDaemon(context, async (client) => {
      const { image } = await client.call("image.register", {
        image: name,
        rootfs: absolutePath(rootfs, context.cwd),
        kernel: kernel ?? null,
      });
      const path = printableLine(image.rootfsPath, context.err.isTerminal);
      if (!context.quiet) context.err.write(`Image "${name}" is ${path}\n`);
      return 0;
    });
  },
});
