import type { ResultOf } from "../../api/methods.ts";
import { defineCommand, flag } from "../command.ts";
import { jsonText } from "../render/json_text.ts";
import { table } from "../render/table.ts";
import { withDaemon } from "../with_daemon.ts";

type Mended = ResultOf<"daemon.reconcile">["mended"];

/** `banger daemon reconcile` */
export const daemonReconcile = defineCommand({
  description:
    "Compares what the store says of VMs with processes and files, and mends what does not agree, " +
    "as the daemon does by itself when it starts: takes over VMs that run, records the end of " +
    "those that do not, carries deletions on, removes what belongs to no VM. VMs that somebody " +
    "works on are left alone. With --dry-run a daemon that does not run is not started.",
  options: {
    dryRun: flag("Only list what would be mended"),
    json: flag("Print JSON"),
  },
  args: {},
  run: async (context, { options }) => {
    const { dryRun, json } = options;
    const { mended } = await withDaemon(
      context,
      (client) => client.call("daemon.reconcile", { dryRun }),
      // One that starts has mended everything before it could tell.
      dryRun ? "never" : "on_demand",
    );
    if (json) context.out.write(jsonText({ mended, dryRun }));
    else if (mended.length > 0) context.out.write(listed(mended));
    if (!context.quiet && mended.length === 0) context.err.write("Everything agrees\n");
    return mended.some(({ failure }) => failure !== null) ? 1 : 0;
  },
});

function listed(mended: Mended): string {
  const rows = mended.map(({ vmId, name, action, why, failure }) => [
    name ?? vmId ?? "-",
    action,
    failure === null ? why : `${why}; it failed: ${failure}`,
  ]);
  return table(["VM", "ACTION", "WHY"], rows, ["left", "left", "left"]);
}
