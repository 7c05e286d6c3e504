import { parseWantedPort, publishAddress } from "../../model/published_port.ts";
import { defineCommand } from "../command.ts";
import { vmArgument, vmReference } from "../vm_reference.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm ports publish` */
export const vmPortsPublish = defineCommand({
  description:
    "Lets ports of the host's loopback lead to TCP ports of the guest: at once when the VM runs, and whenever it " +
    "runs until it is unpublished. HOST 0, or none, is the guest's number where it is free and else another. " +
    "Prints the address of each. All are published, or none.",
  options: {},
  args: {
    vm: vmArgument,
    ports: { count: "many", placeholder: "[HOST:]GUEST", summary: "Ports, such as 8080:80" },
  },
  examples: [[
    "banger vm ports publish web 8080:80",
    "http://127.0.0.1:8080 is the guest's port 80",
  ]],
  run: async (context, { args }) => {
    const vm = vmReference(args.vm);
    const ports = args.ports.map(parseWantedPort);
    const { published } = await withDaemon(
      context,
      (client) => client.call("vm.publish", { vm, ports }),
    );
    for (const { hostPort } of published) context.out.write(`${publishAddress}:${hostPort}\n`);
    return 0;
  },
});
