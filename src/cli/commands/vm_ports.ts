import { defineCommand, flag } from "../command.ts";
import { jsonText } from "../render/json_text.ts";
import { printable } from "../render/printable.ts";
import { table } from "../render/table.ts";
import { vmArgument, vmReference } from "../vm_reference.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm ports` */
export const vmPorts = defineCommand({
  description: "What listens for connections in the guest, its own ssh server included.",
  options: {
    json: flag("Print JSON"),
  },
  args: { vm: vmArgument },
  run: async (context, { options, args }) => {
    const vm = vmReference(args.vm);
    const { ports } = await withDaemon(context, (client) => client.call("vm.ports", { vm }));
    if (options.json) {
      context.out.write(jsonText({ ports }));
      return 0;
    }
    const rows = ports.map(({ protocol, address, port, process }) => [
      ...[protocol, address, String(port), process ?? "-"],
    ]);
    const align = ["left", "left", "right", "left"] as const;
    const text = table(["PROTOCOL", "ADDRESS", "PORT", "PROGRAM"], rows, align);
    context.out.write(printable(text, context.out.isTerminal));
    return 0;
  },
});
