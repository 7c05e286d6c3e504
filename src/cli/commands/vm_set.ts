import { BangerError } from "../../model/errors.ts";
import { labelProblem } from "../../model/labels.ts";
import { checkName } from "../../model/names.ts";
import { defineCommand, type ListSpec, value } from "../command.ts";
import { labelOption } from "../label_option.ts";
import { vmOptions } from "../vm_options.ts";
import { vmArgument, vmReference } from "../vm_reference.ts";
import { withDaemon } from "../with_daemon.ts";

const noLabel: ListSpec<string> = {
  kind: "list",
  placeholder: "KEY",
  summary: "Remove a label; may be given again",
  parse: (key) => {
    const problem = labelProblem(key, "");
    if (problem === undefined) return key;
    throw new BangerError("invalid", `Cannot remove label ${JSON.stringify(key)}: ${problem}`);
  },
};

/** `banger vm set` */
export const vmSet = defineCommand({
  description:
    "Changes all of what is given, or nothing. Processors, memory and disks of a VM that does " +
    "not run; disks only grow, and their file systems with them at the next start.",
  options: {
    name: value("NAME", "Another name", (text) => checkName("VM", text)),
    cpus: vmOptions.cpus,
    memory: vmOptions.memory,
    disk: value("SIZE", "A larger system disk, such as 20G", vmOptions.disk.parse),
    workDisk: value(
      "SIZE",
      "A larger work disk, or a first one, which gets the home directory",
      vmOptions.workDisk.parse,
    ),
    label: labelOption,
    noLabel,
    autoStop: value(
      "TIME",
      "Stop it when nobody has used it for so long (2h), never, or default",
      vmOptions.autoStop.parse,
    ),
  },
  args: { vm: vmArgument },
  examples: [["banger vm set web --memory 4G --label team=a", "after banger vm stop web"]],
  run: async (context, { options, args }) => {
    const ref = vmReference(args.vm);
    const { name, cpus, memory, disk, workDisk, label, noLabel, autoStop } = options;
    const labels = Object.fromEntries<string | null>([
      ...noLabel.map((key) => [key, null] as const),
      ...label,
    ]);
    const params = {
      name: name ?? null,
      cpus: cpus ?? null,
      memoryMib: memory ?? null,
      diskBytes: disk ?? null,
      workDiskBytes: workDisk ?? null,
      labels,
      autoStopMs: autoStop === undefined ? "keep" as const : autoStop,
    };
    const values = [name, cpus, memory, disk, workDisk, autoStop];
    if (values.every((it) => it === undefined) && label.length + noLabel.length === 0) {
      throw new BangerError("invalid", `Cannot change VM "${ref}": nothing to change was given`, {
        hint: "banger vm set --help",
      });
    }
    await withDaemon(context, (client) => client.call("vm.set", { vm: ref, ...params }));
    return 0;
  },
});
