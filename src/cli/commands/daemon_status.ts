import { defineCommand, flag } from "../command.ts";
import { bytesText, durationText } from "../render/amounts.ts";
import { jsonText } from "../render/json_text.ts";
import { fields } from "../render/table.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger daemon status` */
export const daemonStatus = defineCommand({
  description: "Does not start it. Exits with 1 when it does not run.",
  options: {
    json: flag("Print JSON"),
  },
  args: {},
  run: async (context, { options }) => {
    const status = await withDaemon(context, (client) => client.call("daemon.status", {}), "never");
    context.out.write(
      options.json ? jsonText({ daemon: status }) : fields([
        ["Version", `${status.version} (commit ${status.commit})`],
        ["Pid", String(status.pid)],
        ["Up", durationText(Math.max(0, context.wallClockMs() - status.startedAtMs))],
        ["Running VMs", String(status.runningVms)],
        ["Operations", String(status.runningOperations)],
        ["Memory", bytesText(status.rssBytes)],
        ["Socket", status.socketPath],
        ["State", status.stateDir],
        ["Log", status.logPath],
      ]),
    );
    return 0;
  },
});
