import { BangerError } from "../model/errors.ts";
import { parseImageWord } from "../model/image_name.ts";
import { checkName } from "../model/names.ts";
import type { WantedPort } from "../model/published_port.ts";
import { vmLimits } from "../model/vm.ts";
import { labelOption } from "./label_option.ts";
import { autoStopMs } from "./auto_stop_option.ts";
import { flag, value, wholeNumber } from "./command.ts";
import { autoPortsOption, publishOption } from "./publish_option.ts";
import { diskBytes, memoryMib, workDiskBytes } from "./size_option.ts";

const { lowest, highest } = vmLimits.cpus;

/** Refuses what is neither a name nor a reference. */
function imageWord(text: string): string {
  parseImageWord(text);
  return text;
}

/** Options that say what a new VM is like; what is left out comes from the configuration. */
export const vmOptions = {
  label: labelOption,
  name: value("NAME", "Name of the VM", (text) => checkName("VM", text)),
  image: value(
    "IMAGE",
    "Image to boot, by name or reference; pulled when it is not here",
    imageWord,
  ),
  kernel: value("KERNEL", "Kernel to boot, not the image's own", (t) => checkName("kernel", t)),
  cpus: value(
    "N",
    `Virtual processors, ${lowest} to ${highest}`,
    wholeNumber("cpus", lowest, highest),
  ),
  memory: value("SIZE", "Memory, such as 512M or 4G", memoryMib),
  autoStop: value(
    "TIME",
    "Stop it when nobody has used it for so long (2h), or never; the default is configured",
    autoStopMs,
  ),
  publish: publishOption,
  autoPorts: autoPortsOption,
  disk: value("SIZE", "Size of the system disk, such as 20G; not below the image's", diskBytes),
  workDisk: value(
    "SIZE",
    "Size of the disk that keeps the home directory over vm reset (8G), not with --rm",
    workDiskBytes,
  ),
  noWorkDisk: flag("No such disk: the home directory is on the system disk"),
};

/** Keeps what an image says of programs from them. */
export const noImageDefaults = flag("Ignore the image's variables, directory and user");

/** What {@linkcode vmOptions} gave. */
export interface VmOptionsGiven {
  readonly label: readonly (readonly [string, string])[];
  readonly name: string | undefined;
  readonly image: string | undefined;
  readonly kernel: string | undefined;
  readonly cpus: number | undefined;
  readonly memory: number | undefined;
  readonly disk: number | undefined;
  readonly autoStop: number | null | undefined;
  readonly workDisk: number | undefined;
  readonly noWorkDisk: boolean;
  readonly publish: readonly WantedPort[];
  readonly autoPorts: boolean;
}

/**
 * The parameters of `vm.create` that {@linkcode vmOptions} decide.
 *
 * @throws BangerError `invalid` for options that contradict each other
 */
export function vmParams(given: VmOptionsGiven) {
  if (given.noWorkDisk && given.workDisk !== undefined) {
    throw new BangerError("invalid", "Cannot use both --work-disk and --no-work-disk");
  }
  return {
    name: given.name ?? null,
    image: given.image ?? null,
    kernel: given.kernel ?? null,
    cpus: given.cpus ?? null,
    memoryMib: given.memory ?? null,
    diskBytes: given.disk ?? null,
    workDiskBytes: given.noWorkDisk ? 0 as const : given.workDisk ?? null,
    labels: Object.fromEntries(given.label),
    autoStopMs: given.autoStop ?? null,
    publish: [...given.publish],
    autoPorts: given.autoPorts,
  };
}
