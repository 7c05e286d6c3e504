import type { VmView } from "../../api/vm.ts";
import { publishAddress } from "../../model/published_port.ts";
import { defineCommand, flag } from "../command.ts";
import { bytesText, durationText, momentText } from "../render/amounts.ts";
import { jsonText } from "../render/json_text.ts";
import { fields } from "../render/table.ts";
import { vmArgument, vmReference } from "../vm_reference.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm show` */
export const vmShow = defineCommand({
  description: "",
  options: {
    json: flag("Print JSON"),
  },
  args: { vm: vmArgument },
  run: async (context, { options, args }) => {
    const name = vmReference(args.vm);
    const { vm } = await withDaemon(context, (client) => client.call("vm.show", { vm: name }));
    context.out.write(options.json ? jsonText({ vm }) : vmText(vm));
    return 0;
  },
});

function workDisk(vm: VmView): [string, string][] {
  if (vm.workDiskBytes === 0) return [];
  const used = bytesText(vm.workDiskUsedBytes);
  return [["Work disk", `${bytesText(vm.workDiskBytes)} (${used} used on the host)`]];
}

function vmText(vm: VmView): string {
  const used = `${bytesText(vm.diskBytes)} (${bytesText(vm.diskUsedBytes)} used on the host)`;
  const pairs: [string, string][] = [
    ["Name", vm.name],
    ["Id", vm.id],
    ["State", vm.failure === null ? vm.state : `${vm.state}: ${vm.failure}`],
    ["Image", vm.image],
    ["Kernel", vm.kernel],
    ["CPUs", String(vm.cpus)],
    ["Memory", bytesText(vm.memoryMib * 1024 ** 2)],
    ["Disk", used],
    ...workDisk(vm),
    ["Created", momentText(vm.createdAtMs)],
  ];
  const labels = Object.entries(vm.labels);
  if (labels.length > 0) {
    const text = labels.map(([key, value]) => value === "" ? key : `${key}=${value}`).join(", ");
    pairs.push(["Labels", text]);
  }
  if (vm.autoStopMs !== null) {
    const after = `after ${durationText(vm.autoStopMs)} without use`;
    pairs.push(["Auto-stop", vm.autoStopMs === 0 ? "never" : after]);
  }
  if (vm.command !== null) {
    pairs.push(["Command", vm.command.map((word) => JSON.stringify(word)).join(" ")]);
  }
  if (vm.ephemeral) pairs.push(["Ephemeral", "deleted when its banger vm run ends"]);
  if (vm.workspace !== null) pairs.push(["Workspace", `/root/${vm.workspace}`]);
  if (vm.startedAtMs !== null) pairs.push(["Started", momentText(vm.startedAtMs)]);
  if (vm.readyAfterMs !== null) pairs.push(["Ready after", durationText(vm.readyAfterMs)]);
  if (vm.vmm !== null) pairs.push(["VMM", [vm.vmm, vm.accelerator].filter(Boolean).join(", ")]);
  if (vm.published.length > 0 || vm.autoPorts) {
    const ports = vm.published.map(({ hostPort, guestPort }) => `${hostPort} to ${guestPort}`);
    const auto = vm.autoPorts ? ["what listens in it"] : [];
    pairs.push(["Published", `${publishAddress} port ${[...ports, ...auto].join(", ")}`]);
  }
  if (vm.sshPort !== null) pairs.push(["ssh", `127.0.0.1 port ${vm.sshPort}`]);
  return fields(pairs);
}
