import { parseWantedPort } from "../../model/published_port.ts";
import { defineCommand } from "../command.ts";
import { vmArgument, vmReference } from "../vm_reference.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm ports unpublish` */
export const vmPortsUnpublish = defineCommand({
  description: "Connections through them are reset. GUEST alone means every port that leads there.",
  options: {},
  args: {
    vm: vmArgument,
    ports: { count: "many", placeholder: "[HOST:]GUEST", summary: "Ports, as they were published" },
  },
  examples: [["banger vm ports unpublish web 80", "no port of the host leads to it any more"]],
  run: async (context, { args }) => {
    const vm = vmReference(args.vm);
    const ports = args.ports.map(parseWantedPort);
    await withDaemon(context, (client) => client.call("vm.unpublish", { vm, ports }));
    return 0;
  },
});
