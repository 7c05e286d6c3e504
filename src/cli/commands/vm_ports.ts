import { publishAddress } from "../../model/published_port.ts";
import { defineCommand, flag } from "../command.ts";
import { jsonText } from "../render/json_text.ts";
import { printable } from "../render/printable.ts";
import { table } from "../render/table.ts";
import { vmArgument, vmReference } from "../vm_reference.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm ports` */
export const vmPorts = defineCommand({
  description:
    "What listens for connections in the guest, its own ssh server included, and the ports of this host that lead " +
    "there. Of a VM that does not run: what is published.",
  options: {
    json: flag("Print JSON"),
  },
  args: { vm: vmArgument },
  examples: [
    ["banger vm ports web", "what listens in it"],
    ["banger vm ports publish web 8080:80", "http://127.0.0.1:8080 is the guest's port 80"],
    ["banger vm ports unpublish web 80", "and is not any more"],
  ],
  run: async (context, { options, args }) => {
    const vm = vmReference(args.vm);
    const { ports } = await withDaemon(context, (client) => client.call("vm.ports", { vm }));
    if (options.json) {
      context.out.write(jsonText({ ports }));
      return 0;
    }
    const rows = ports.map((port) => [
      port.protocol,
      port.address ?? "-",
      String(port.port),
      port.process ?? "-",
      port.hostPort === null ? "-" : `${publishAddress}:${port.hostPort}`,
      port.how === null ? "-" : port.open ? port.how : `${port.how}, closed`,
    ]);
    const align = ["left", "left", "right", "left", "left", "left"] as const;
    const text = table(["PROTOCOL", "ADDRESS", "PORT", "PROGRAM", "HOST", "HOW"], rows, align);
    context.out.write(printable(text, context.out.isTerminal));
    return 0;
  },
});
