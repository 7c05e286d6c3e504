import { BangerError, isBangerError, reasonOf } from "../model/errors.ts";
import type { MachineSpec, Vmm } from "./contract.ts";
import {
  keepKvmVerdict,
  keptKvmVerdict,
  type KvmFinding,
  type KvmProbeKey,
} from "./kvm_verdicts.ts";

/** What the marker initrd prints when a kernel reached user space. */
export const kvmMarker = "BANGER-KVM-OK";

/**
 * How long the machine may print nothing; with working KVM all takes about 0.5 s. A host on which QEMU
 * itself starts slowly (it is busy, or emulated) gets more: so many times what that took, up to the most.
 */
const silenceMs = { least: 3_000, launches: 5, most: 20_000 } as const;
/** How long a kernel that goes on printing has to get there. */
const trialTimeoutMs = 60_000;
/** How often it is looked what was printed. */
const lookMs = 200;
/** The driver lets kernels be quiet; here each line shows that it works (kernel-parameters.txt). */
const talkative = "loglevel=7";
/** How much of the console is looked at. */
const consoleBytes = 64 * 1024;

/** Whether KVM runs kernels here. */
export interface KvmVerdict extends KvmFinding {
  /** How long the trial took, in ms; 0 when the verdict was remembered. */
  readonly tookMs: number;
}

/** A trial. */
export interface KvmProbeSpec {
  readonly key: KvmProbeKey;
  /** File that remembers verdicts. */
  readonly cachePath: string;
  /**
   * A machine with the real kernel and the marker initrd, without disks and network, in directories of its
   * own.
   */
  readonly machine: Omit<MachineSpec, "accelerator">;
}

/**
 * Whether KVM can be used: remembered for this boot of the host, this kernel and this VMM, else tried out
 * by booting the real kernel until it is silent for 3 s (more on a slow host). That `/dev/kvm` opens is
 * no proof. Leaves no process.
 *
 * @throws BangerError `cancelled`, `precondition` when the VMM is not installed
 */
export async function probeKvm(
  vmm: Vmm,
  spec: KvmProbeSpec,
  signal: AbortSignal,
): Promise<KvmVerdict> {
  const kept = keptKvmVerdict(spec.cachePath, spec.key);
  if (kept !== undefined) return { ...kept, tookMs: 0 };
  const startedAt = performance.now();
  const trial = await tryOut(vmm, spec, signal);
  keepKvmVerdict(spec.cachePath, spec.key, trial);
  return { ...trial, tookMs: Math.round(performance.now() - startedAt) };
}

async function tryOut(vmm: Vmm, spec: KvmProbeSpec, signal: AbortSignal): Promise<KvmFinding> {
  const limit = new AbortController();
  const limitTimer = setTimeout(() => limit.abort(), trialTimeoutMs);
  const silence = new Silence(() => limit.abort());
  try {
    return await boot(vmm, spec, silence, signal, limit.signal);
  } finally {
    clearTimeout(limitTimer);
    silence.end();
  }
}

async function boot(
  vmm: Vmm,
  spec: KvmProbeSpec,
  silence: Silence,
  signal: AbortSignal,
  limit: AbortSignal,
): Promise<KvmFinding> {
  const stop = AbortSignal.any([signal, limit]);
  const commandLine = [...spec.machine.commandLine, talkative];
  try {
    const begun = performance.now();
    const machine = await vmm.launch({ ...spec.machine, commandLine, accelerator: "kvm" }, stop);
    const launchMs = performance.now() - begun;
    try {
      silence.watch(launchMs, async () => (await machine.readConsole(consoleBytes)).length);
      await endOf(machine.ended, stop);
    } finally {
      await machine.kill();
    }
    if (signal.aborted) throw new BangerError("cancelled", "Stopped the KVM trial: cancelled");
    const console = new TextDecoder().decode(await machine.readConsole(consoleBytes));
    if (console.includes(kvmMarker)) {
      return { usable: true, reason: "a kernel boots with it", hint: null };
    }
    return limit.aborted ? hangs(silence.limitMs, console.trim() === "") : ends(console);
  } catch (error) {
    if (signal.aborted) {
      throw new BangerError("cancelled", "Stopped the KVM trial: cancelled", { cause: error });
    }
    if (limit.aborted) return hangs(silence.limitMs, true);
    if (!isBangerError(error, "internal")) throw error;
    return refusalOf(error);
  }
}

function ends(console: string): KvmFinding {
  const reason = "the kernel ends before it reaches user space";
  const last = console.trim().split("\n").at(-1)?.replace(/[^ -~]/g, "").slice(0, 120) ?? "";
  return { usable: false, reason: last === "" ? reason : `${reason} ("${last}")`, hint: null };
}

function hangs(limitMs: number, wasSilent: boolean): KvmFinding {
  const reason = wasSilent
    ? `the kernel does not start with it within ${Math.round(limitMs / 1000)} s`
    : "the kernel starts with it but hangs";
  return { usable: false, reason, hint: null };
}

/** Calls back once when nothing new was printed for some time. */
class Silence {
  /** How long, in milliseconds. */
  limitMs: number = silenceMs.least;
  readonly #onLimit: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #looking: ReturnType<typeof setInterval> | undefined;
  #printed = 0;

  constructor(onLimit: () => void) {
    this.#onLimit = onLimit;
  }

  /** From now on it counts. QEMU took `launchMs` to start; `printed` tells how much was printed. */
  watch(launchMs: number, printed: () => Promise<number>): void {
    const { least, launches, most } = silenceMs;
    this.limitMs = Math.min(most, Math.max(least, launches * launchMs));
    this.#timer = setTimeout(this.#onLimit, this.limitMs);
    this.#looking = setInterval(async () => {
      const now = await printed().catch(() => 0);
      if (now <= this.#printed || this.#looking === undefined) return;
      this.#printed = now;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(this.#onLimit, this.limitMs);
    }, lookMs);
  }

  end(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#looking);
    this.#looking = undefined;
  }
}

/** QEMU opens /dev/kvm itself, with the rights that it will have; its words tell what was wrong. */
function refusalOf(error: BangerError): KvmFinding {
  const detail = error.detail ?? "";
  if (/Permission denied/.test(detail)) {
    return {
      usable: false,
      // Its mode allows it, or there would be no trial: something else of the host refuses.
      reason: "QEMU is refused /dev/kvm although its mode allows it",
      hint: null,
    };
  }
  if (/No such file or directory|No such device/.test(detail)) {
    return { usable: false, reason: "this host has no /dev/kvm", hint: null };
  }
  const line = detail.split("\n").findLast((text) => text.trim() !== "");
  return { usable: false, reason: line?.trim() ?? reasonOf(error), hint: null };
}

async function endOf(ended: Promise<unknown>, stop: AbortSignal): Promise<void> {
  const stopped = Promise.withResolvers<void>();
  const onAbort = () => stopped.resolve();
  stop.addEventListener("abort", onAbort, { once: true });
  if (stop.aborted) stopped.resolve();
  await Promise.race([ended, stopped.promise]);
  stop.removeEventListener("abort", onAbort);
}
