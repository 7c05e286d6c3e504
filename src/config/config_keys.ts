import { nameProblem } from "../model/names.ts";
import { BangerError } from "../model/errors.ts";
import { vmLimits } from "../model/vm.ts";
import type { Config } from "./config.ts";
import { autoStopLimitsMs, durationMs } from "./duration.ts";
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
    const ms = durationMs(value, 1000, 3_600_000);
    if (ms === undefined) return 'it must be a time from 1s to 1h, such as "90s"';
    draft.bootTimeoutMs = ms;
    return undefined;
  },
  stats_poll_interval: (value, draft) => {
    const ms = value === "off" ? null : durationMs(value, 1000, 3_600_000);
    if (ms === undefined) return 'it must be "off" or a time from 1s to 1h, such as "10s"';
    draft.statsPollIntervalMs = ms;
    return undefined;
  },
  auto_stop_stale_after: (value, draft) => {
    const { lowest, highest } = autoStopLimitsMs;
    const ms = value === "never" ? null : durationMs(value, lowest, highest);
    if (ms === undefined) return 'it must be "never" or a time from 1m to 30d, such as "2h"';
    draft.autoStopStaleAfterMs = ms;
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
  "vm_defaults.work_disk": (value, draft) => {
    const { lowest, highest } = vmLimits.workDiskBytes;
    const problem = value === "none" ? 0 : size(value, lowest, highest);
    if (typeof problem === "string") return `${problem}, or "none"`;
    draft.vmDefaults = {
      ...draft.vmDefaults,
      workDiskBytes: Math.floor(problem / 1024 ** 2) * 1024 ** 2,
    };
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
  "catalog.url": (value, draft) => {
    const rule =
      "it must be an https address, an http address of this machine, or an absolute path";
    if (typeof value !== "string" || !isCatalogPlace(value)) return rule;
    draft.catalog = { ...draft.catalog, url: value };
    return undefined;
  },
  "catalog.fingerprints": (value, draft) => {
    const rule = "it must be a list of up to 16 fingerprints of OpenPGP keys, of 40 or 64 digits";
    if (!Array.isArray(value) || value.length > 16) return rule;
    const fingerprints = value.map((each) =>
      typeof each === "string" ? each.replaceAll(" ", "").toUpperCase() : ""
    );
    if (!fingerprints.every((each) => /^([0-9A-F]{40}|[0-9A-F]{64})$/.test(each))) return rule;
    draft.catalog = { ...draft.catalog, fingerprints: Object.freeze(fingerprints) };
    return undefined;
  },
  "catalog.keyring": (value, draft) =>
    path(value, (text) => draft.catalog = { ...draft.catalog, keyring: text }),
};

/** Only what `src/catalog` takes; there each address is looked at once more. */
function isCatalogPlace(text: string): boolean {
  if (text.startsWith("/")) return !text.includes("\0");
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password, hash } = new URL(text);
  if (username !== "" || password !== "" || hash !== "") return false;
  const isHere = /^(localhost|\[::1\]|127(\.\d{1,3}){3})$/.test(hostname);
  return protocol === "https:" || (protocol === "http:" && isHere);
}

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
