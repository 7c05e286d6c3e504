import { BangerError } from "../../model/errors.ts";
import { labelProblem } from "../../model/labels.ts";
import { checkName } from "../../model/names.ts";
import { defineCommand, flag, type ListSpec, value } from "../command.ts";
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

function onOrOff(text: string): boolean {
  if (text === "on" || text === "off") return text === "on";
  throw new BangerError(
    "invalid",
    `Cannot use --auto-ports ${JSON.stringify(text)}: it is neither on nor off`,
  );
}

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
    imageCommand: flag("Without a command, run a shell or what its image says again"),
    label: labelOption,
    noLabel,
    autoStop: value(
      "TIME",
      "Stop it when nobody has used it for so long (2h), never, or default",
      vmOptions.autoStop.parse,
    ),
    autoPorts: value("on|off", "Whether what listens in it is forwarded from 127.0.0.1", onOrOff),
  },
  args: { vm: vmArgument },
  rest: {
    required: false,
    placeholder: "CMD…",
    summary: "What vm exec and vm ssh run without a command, not a shell",
  },
  examples: [
    ["banger vm set web --memory 4G --label team=a", "after banger vm stop web"],
    ["banger vm set web -- npm start", "banger vm exec web runs it"],
  ],
  run: async (context, { options, args, rest }) => {
    const ref = vmReference(args.vm);
    const command = commandOf(options.imageCommand, rest);
    const { name, cpus, memory, disk, workDisk, label, noLabel, autoStop, autoPorts } = options;
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
      autoPorts: autoPorts ?? null,
      command: typeof command === "object" && command !== null ? [...command] : command,
    };
    const values = [name, cpus, memory, disk, workDisk, autoStop, autoPorts];
    const isSame = values.every((it) => it === undefined) && command === "keep";
    if (isSame && label.length + noLabel.length === 0) {
      throw new BangerError("invalid", `Cannot change VM "${ref}": nothing to change was given`, {
        hint: "banger vm set --help",
      });
    }
    await withDaemon(context, (client) => client.call("vm.set", { vm: ref, ...params }));
    return 0;
  },
});

/** @throws BangerError `invalid` when both are given, or the first word is empty */
function commandOf(
  imageCommand: boolean,
  rest: readonly string[],
): readonly string[] | null | "keep" {
  if (imageCommand && rest.length > 0) {
    throw new BangerError("invalid", "Cannot use --image-command with a command of the VM's own");
  }
  if (rest[0] === "") throw new BangerError("invalid", 'Cannot run "": it names no program');
  return imageCommand ? null : rest.length > 0 ? rest : "keep";
}
