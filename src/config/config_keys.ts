import parseDuration from "parse-duration";
import { nameProblem } from "../model/names.ts";
import { BangerError } from "../model/errors.ts";
import { vmLimits } from "../model/vm.ts";
import type { Config } from "./config.ts";
import { parseSize } from "./parse_size.ts";

/** A mutable {@linkcode Config} under construction. */
export type Draft = { -readonly [K in keyof Config]: Config[K] };

/** Takes a value over into the draft; answers the rule that the value breaks, if it does. */
export type KeyReader = (value: unknown, draft: Draft) => string | undefined;

/** Every key, with its table in front of the dot. */
export const configKeys: Readonly<Record<string, KeyReader>> = {
  default_image_name: (value, draft) =>
    name("image", value, (text) => draft.defaultImageName = text),
  default_kernel_name: (value, draft) =>
    name("kernel", value, (text) => draft.defaultKernelName = text),
  vmm: (value, draft) => {
    if (value !== "auto" && value !== "qemu") return 'it must be "auto" or "qemu"';
    draft.vmm = value;
    return undefined;
  },
  qemu_bin: (value, draft) => path(value, (text) => draft.qemuBin = text),
  ssh_key_path: (value, draft) => path(value, (text) => draft.sshKeyPath = text),
  boot_timeout: (value, draft) => {
    const rule = 'it must be a time from 1s to 1h, such as "90s"';
    const ms = typeof value === "string" ? parseDuration(value) : null;
    if (ms === null || ms === undefined || !(ms >= 1000 && ms <= 3_600_000)) return rule;
    draft.bootTimeoutMs = Math.round(ms);
    return undefined;
  },
  "vm_defaults.cpus": (value, draft) => {
    const { lowest, highest } = vmLimits.cpus;
    if (!Number.isInteger(value) || Number(value) < lowest || Number(value) > highest) {
      return `it must be a whole number from ${lowest} to ${highest}`;
    }
    draft.vmDefaults = { ...draft.vmDefaults, cpus: Number(value) };
    return undefined;
  },
  "vm_defaults.memory": (value, draft) => {
    const { lowest, highest } = vmLimits.memoryMib;
    const problem = size(value, lowest * 1024 ** 2, highest * 1024 ** 2);
    if (typeof problem === "string") return problem;
    draft.vmDefaults = { ...draft.vmDefaults, memoryMib: Math.floor(problem / 1024 ** 2) };
    return undefined;
  },
  "vm_defaults.disk": (value, draft) => {
    const problem = size(value, vmLimits.diskBytes.lowest, vmLimits.diskBytes.highest);
    if (typeof problem === "string") return problem;
    draft.vmDefaults = { ...draft.vmDefaults, diskBytes: problem };
    return undefined;
  },
  "catalog.debian_mirror": (value, draft) => {
    if (typeof value !== "string" || !URL.canParse(value)) return "it must be a URL";
    const url = new URL(value);
    if (url.protocol !== "http:" && url.protocol !== "https:") {
      return "it must be an http or https URL";
    }
    draft.catalog = { ...draft.catalog, debianMirror: value.replace(/\/+$/, "") };
    return undefined;
  },
};

function name(
  kind: "image" | "kernel",
  value: unknown,
  take: (text: string) => void,
): string | undefined {
  if (typeof value !== "string") return "it must be a string";
  const problem = nameProblem(kind, value);
  if (problem === undefined) take(value);
  return problem;
}

function path(value: unknown, take: (text: string) => void): string | undefined {
  if (typeof value !== "string" || !value.startsWith("/") || value.includes("\0")) {
    return "it must be an absolute path";
  }
  take(value);
  return undefined;
}

/** The size in bytes, or the rule that it breaks. */
function size(value: unknown, lowest: number, highest: number): number | string {
  if (typeof value !== "string" && typeof value !== "number") {
    return 'it must be a size such as "8G", or a number of MiB';
  }
  try {
    const bytes = parseSize(value);
    if (bytes >= lowest && bytes <= highest) return bytes;
  } catch (error) {
    if (!(error instanceof BangerError)) throw error;
    return 'it must be a size such as "8G", or a number of MiB';
  }
  return `it must be from ${lowest / 1024 ** 2}M to ${highest / 1024 ** 2}M`;
}
