import { defineCommand, flag } from "../command.ts";
import { durationText } from "../render/amounts.ts";
import { jsonText } from "../render/json_text.ts";
import { printable } from "../render/printable.ts";
import { fields } from "../render/table.ts";
import { vmArgument, vmReference } from "../vm_reference.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm health` */
export const vmHealth = defineCommand({
  description:
    "Init is what the guest's systemd says of itself: running, starting, degraded, …; none without systemd.",
  options: {
    json: flag("Print JSON"),
  },
  args: { vm: vmArgument },
  run: async (context, { options, args }) => {
    const vm = vmReference(args.vm);
    const { health } = await withDaemon(context, (client) => client.call("vm.health", { vm }));
    if (options.json) {
      context.out.write(jsonText({ health }));
      return 0;
    }
    const text = fields([
      ["Answered after", `${health.answeredAfterMs.toFixed(1)} ms`],
      ["Up for", durationText(health.uptimeS * 1000)],
      ["Init", health.initState],
      ["ssh", health.sshReady ? "ready" : "not ready"],
      ["Agent", health.agentVersion],
    ]);
    context.out.write(printable(text, context.out.isTerminal));
    return 0;
  },
});
