import type { VmView } from "../../api/vm.ts";
import { defineCommand, flag } from "../command.ts";
import { ageText, bytesText } from "../render/amounts.ts";
import { jsonText } from "../render/json_text.ts";
import { table } from "../render/table.ts";
import { withDaemon } from "../with_daemon.ts";

/** `banger vm list` */
export const vmList = defineCommand({
  description: "DISK is the size of the system disk as the guest sees it.",
  options: {
    json: flag("Print JSON"),
  },
  args: {},
  run: async (context, { options }) => {
    const { vms } = await withDaemon(context, (client) => client.call("vm.list", {}));
    context.out.write(options.json ? jsonText({ vms }) : vmTable(vms, context.wallClockMs()));
    if (vms.length === 0 && !options.json && !context.quiet) {
      context.err.write("There are no VMs yet. Make one: banger vm run\n");
    }
    return 0;
  },
});

function vmTable(vms: readonly VmView[], nowMs: number): string {
  const header = ["NAME", "STATE", "IMAGE", "CPUS", "MEMORY", "DISK", "AGE", "VMM"];
  const sizes = new Map<number, string>();
  // Most VMs have the same sizes; formatting numbers is what a long list would spend its time on.
  const size = (bytes: number) => {
    const text = sizes.get(bytes) ?? bytesText(bytes);
    sizes.set(bytes, text);
    return text;
  };
  const rows = vms.map((vm) => [
    vm.name,
    vm.state,
    vm.image,
    String(vm.cpus),
    size(vm.memoryMib * 1024 ** 2),
    size(vm.diskBytes),
    ageText(nowMs - vm.createdAtMs),
    vmmText(vm),
  ]);
  return table(header, rows, ["left", "left", "left", "right", "right", "right", "right", "left"]);
}

function vmmText(vm: VmView): string {
  if (vm.vmm === null) return "-";
  return vm.accelerator === null ? vm.vmm : `${vm.vmm}/${vm.accelerator}`;
}
