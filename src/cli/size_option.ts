import { BangerError } from "../model/errors.ts";
import { vmLimits } from "../model/vm.ts";
import { bytesText } from "./render/amounts.ts";
import { parseSize } from "../config/parse_size.ts";

/** `--memory` in MiB. @throws BangerError `invalid` */
export function memoryMib(text: string): number {
  const { lowest, highest } = vmLimits.memoryMib;
  return bounded("memory", text, lowest * 1024 ** 2, highest * 1024 ** 2) / 1024 ** 2;
}

/** `--disk` in bytes. @throws BangerError `invalid` */
export function diskBytes(text: string): number {
  const { lowest, highest } = vmLimits.diskBytes;
  return bounded("disk", text, lowest, highest);
}

/** `--work-disk` in bytes. @throws BangerError `invalid` */
export function workDiskBytes(text: string): number {
  const { lowest, highest } = vmLimits.workDiskBytes;
  return bounded("work disk", text, lowest, highest);
}

function bounded(what: string, text: string, lowest: number, highest: number): number {
  const bytes = parseSize(text);
  const whole = Math.floor(bytes / 1024 ** 2) * 1024 ** 2;
  if (whole >= lowest && whole <= highest) return whole;
  const rule = bytes < lowest
    ? `at least ${bytesText(lowest)} are needed`
    : `at most ${bytesText(highest)} are allowed`;
  throw new BangerError("invalid", `Cannot use ${what} ${JSON.stringify(text)}: ${rule}`);
}
