import type { VmOverview } from "../../api/vm.ts";
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
    if (options.json) {
      const all = await withDaemon(context, (client) => client.call("vm.list", {}));
      context.out.write(jsonText({ vms: all.vms }));
      return 0;
    }
    const overview = await withDaemon(context, (client) => client.call("vm.overview", {}));
    context.out.write(vmTable(overview, context.wallClockMs()));
    if (overview.vms.length === 0 && !context.quiet) {
      context.err.write("There are no VMs yet. Make one: banger vm run\n");
    }
    return 0;
  },
});

function vmTable({ groups, vms }: VmOverview, nowMs: number): string {
  // What VMs have in common is aligned once for all of a group.
  const [header = "", ...common] = table(
    ["STATE", "IMAGE", "CPUS", "MEMORY", "DISK"],
    groups.map(({ state, image, cpus, memoryMib, diskBytes }) => [
      state,
      image,
      String(cpus),
      bytesText(memoryMib * 1024 ** 2),
      bytesText(diskBytes),
    ]),
    ["left", "left", "right", "right", "right"],
  ).split("\n");
  const vmms = groups.map(vmmText);
  // By index: taking tuples apart costs as much as all the rest.
  const rows = vms.map((vm) => [vm[0], common[vm[2]]!, ageText(nowMs - vm[1]), vmms[vm[2]]!]);
  return table(["NAME", header, "AGE", "VMM"], rows, ["left", "left", "right", "left"]);
}

function vmmText({ vmm, accelerator }: VmOverview["groups"][number]): string {
  if (vmm === null) return "-";
  return accelerator === null ? vmm : `${vmm}/${accelerator}`;
}
