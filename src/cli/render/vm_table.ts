import type { VmOverview, VmView } from "../../api/vm.ts";
import { ageText, bytesText } from "./amounts.ts";
import { table } from "./table.ts";

/** The table of `banger vm list`. */
export function vmTable({ groups, vms }: VmOverview, nowMs: number): string {
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

/** What the table shows of some VMs: each is a group of its own. */
export function overviewOf(vms: readonly VmView[]): VmOverview {
  return {
    groups: vms.map(({ state, image, cpus, memoryMib, diskBytes, vmm, accelerator }) => ({
      ...{ state, image, cpus, memoryMib, diskBytes, vmm, accelerator },
    })),
    vms: vms.map(({ name, createdAtMs }, index) => [name, createdAtMs, index]),
  };
}

function vmmText({ vmm, accelerator }: VmOverview["groups"][number]): string {
  if (vmm === null) return "-";
  return accelerator === null ? vmm : `${vmm}/${accelerator}`;
}
