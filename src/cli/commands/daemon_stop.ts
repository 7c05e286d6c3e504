import { BangerError, isBangerError } from "../../model/errors.ts";
import { defineCommand, flag } from "../command.ts";
import type { CliContext, DaemonPort } from "../context.ts";
import { withDaemon } from "../with_daemon.ts";

/** How long operations and services may take to end, with room to spare. */
const longestEndMs = 15_000;
const betweenLooksMs = 20;

/** `banger daemon stop` */
export const daemonStop = defineCommand({
  description: "Running VMs go on, and the next banger finds them again. " +
    "Refused while operations run. Succeeds when there is no daemon.",
  options: {
    force: flag("Also while operations run; they are undone at the next start"),
  },
  args: {},
  run: async (context, { options }) => {
    try {
      const pid = await withDaemon(context, async (client) => {
        const { pid } = await client.call("daemon.status", {});
        await client.call("daemon.stop", { force: options.force });
        return pid;
      }, "never");
      await hasEnded(context, pid);
      if (!context.quiet) context.err.write("The daemon has ended\n");
    } catch (error) {
      if (!isBangerError(error, "unavailable")) throw error;
      if (!context.quiet) context.err.write("The daemon does not run\n");
    }
    return 0;
  },
});

/** Its answer comes before its end: waits until its socket is closed, which is the last that it does. */
async function hasEnded(context: CliContext, pid: number): Promise<void> {
  const endMs = context.nowMs() + longestEndMs;
  while (context.nowMs() < endMs) {
    await new Promise((resolve) => setTimeout(resolve, betweenLooksMs));
    try {
      const status = (client: DaemonPort) => client.call("daemon.status", {});
      const now = await withDaemon(context, status, "never");
      // Somebody has started another one since.
      if (now.pid !== pid) return;
    } catch (error) {
      if (isBangerError(error, "unavailable")) return;
      throw error;
    }
  }
  throw new BangerError("timeout", "Cannot stop the daemon: it has not ended in time", {
    hint: "banger daemon logs tells more",
  });
}
