import type { ResultOf } from "../../api/methods.ts";
import { ask, checkCanAsk } from "../ask.ts";
import { defineCommand, flag } from "../command.ts";
import { bytesText } from "../render/amounts.ts";
import { jsonText } from "../render/json_text.ts";
import { table } from "../render/table.ts";
import { withDaemon } from "../with_daemon.ts";

type Pruned = ResultOf<"image.prune">;

/** `banger image prune` */
export const imagePrune = defineCommand({
  description:
    "Removes what nothing needs: versions of images and kernels that were replaced and that no " +
    "VM uses, downloads that no image was made of, old guest kits. With --all also every image " +
    "and kernel that no VM uses; all of them can be pulled again, or registered.\n" +
    "Lists it first and asks.",
  options: {
    all: flag("Also images and kernels that no VM uses", "a"),
    dryRun: flag("Only list what would be removed"),
    force: flag("Do not ask", "f"),
    json: flag("Print JSON"),
  },
  args: {},
  run: async (context, { options }) => {
    const { all, dryRun, force, json } = options;
    const isAsked = !dryRun && !force;
    if (isAsked) checkCanAsk(context, "prune images");
    return await withDaemon(context, async (client) => {
      const prune = (dryRun: boolean) => client.call("image.prune", { all, dryRun });
      let pruned = await prune(dryRun || isAsked);
      if (!json && pruned.removed.length > 0) context.out.write(listed(pruned));
      if (isAsked && pruned.removed.length > 0) {
        if (!await ask(context, `Remove these, ${bytesText(pruned.bytes)}?`)) return 0;
        pruned = await prune(false);
      }
      if (json) context.out.write(jsonText({ ...pruned, dryRun }));
      if (!context.quiet) context.err.write(said(pruned, dryRun));
      return 0;
    });
  },
});

function listed({ removed }: Pruned): string {
  const rows = removed.map((
    { kind, name, bytes, reason },
  ) => [kind, name, bytesText(bytes), reason]);
  return table(["KIND", "NAME", "SIZE", "WHY"], rows, ["left", "left", "right", "left"]);
}

function said({ removed, bytes }: Pruned, dryRun: boolean): string {
  if (removed.length === 0) return "Nothing is unused\n";
  return `${dryRun ? "Would free" : "Freed"} ${bytesText(bytes)}\n`;
}
