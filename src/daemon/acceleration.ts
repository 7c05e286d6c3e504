import type { KernelRecord } from "../model/artefacts.ts";
import { newId, type VmId } from "../model/ids.ts";
import type { Paths } from "../paths/paths.ts";
import { findProgram } from "../process/find_program.ts";
import { SharedWork } from "../sync/shared_work.ts";
import type { Accelerator, Vmm } from "../vmm/contract.ts";
import { probeKvm } from "../vmm/kvm_probe.ts";
import type { HostFacts } from "./host_facts.ts";
import { vmOwner } from "./vm_owner.ts";

/** Which accelerator a VM gets, and why. */
export interface Acceleration {
  readonly accelerator: Accelerator;
  /** One clause, such as "this host has no /dev/kvm". */
  readonly reason: string;
}

/** What {@linkcode Accelerations} needs. */
export interface AccelerationDeps {
  readonly vmm: Vmm;
  readonly host: HostFacts;
  readonly paths: Paths;
  /** `qemu_bin` of the configuration. */
  readonly qemuBin: string | null;
}

/** Memory of the machine of the trial; a kernel needs little to print one line. */
const trialMemoryMib = 256;

/**
 * Decides between KVM and software emulation: a trial boot once for each kernel, remembered over
 * restarts of the daemon (see `vmm/kvm_probe.ts`) and in memory.
 */
export class Accelerations {
  readonly #deps: AccelerationDeps;
  readonly #known = new Map<string, Acceleration>();
  readonly #trialIds = new Set<VmId>();
  readonly #trials = new SharedWork<Acceleration>();

  constructor(deps: AccelerationDeps) {
    this.#deps = deps;
  }

  /** Whether this is the machine of a trial that runs now: the store knows nothing of it. */
  isTrial(id: VmId): boolean {
    return this.#trialIds.has(id);
  }

  /** @throws BangerError `cancelled`, `precondition` when QEMU is missing */
  async of(kernel: KernelRecord, signal: AbortSignal): Promise<Acceleration> {
    const known = this.#known.get(kernel.digest);
    if (known !== undefined) return known;
    return await this.#trials.share(kernel.digest, signal, async (stop) => {
      return await this.#find(kernel, stop);
    });
  }

  async #find(kernel: KernelRecord, signal: AbortSignal): Promise<Acceleration> {
    const device = await this.#deps.host.vmmDevice("/dev/kvm");
    if (device.state === "absent") return emulated("this host has no /dev/kvm");
    if (device.state === "denied") return emulated(withHint(device.reason, device.hint));
    if (kernel.probeInitrdPath === null) return emulated("this kernel has no trial initrd");
    const id = newId<VmId>();
    const vm = this.#deps.paths.vm(id);
    const dropTo = vmOwner(this.#deps.paths.uid, id);
    this.#trialIds.add(id);
    await Deno.mkdir(vm.stateDir, { mode: 0o700 });
    try {
      await Deno.mkdir(vm.runDir, { mode: 0o700 });
      if (dropTo !== null) await Deno.chown(vm.runDir, dropTo.uid, dropTo.gid);
      const verdict = await probeKvm(this.#deps.vmm, {
        key: {
          bootId: await this.#deps.host.bootId(),
          kernelDigest: kernel.digest,
          vmmVersion: await this.#qemuMark(),
        },
        cachePath: this.#deps.paths.kvmProbeFile,
        machine: {
          vmId: id,
          cpus: 1,
          memoryMib: trialMemoryMib,
          kernelPath: kernel.vmlinuxPath,
          initrdPath: kernel.probeInitrdPath,
          commandLine: [],
          disks: [],
          network: null,
          runDir: vm.runDir,
          stateDir: vm.stateDir,
          memoryPaths: { tmpfs: vm.memory, disk: vm.memoryOnDisk },
          dropTo,
        },
      }, signal);
      const found: Acceleration = verdict.usable
        ? { accelerator: "kvm", reason: verdict.reason }
        : emulated(withHint(verdict.reason, verdict.hint));
      this.#known.set(kernel.digest, found);
      return found;
    } finally {
      await Promise.all([vm.runDir, vm.stateDir].map(removeTree));
      this.#trialIds.delete(id);
    }
  }

  /** Stands for QEMU's version and costs no start of it. */
  async #qemuMark(): Promise<string> {
    const path = this.#deps.qemuBin ?? await findProgram(`qemu-system-${Deno.build.arch}`);
    if (path === undefined) return "missing";
    const { size, mtime } = await Deno.stat(path);
    return `${path} ${size} ${mtime?.getTime() ?? 0}`;
  }
}

function withHint(reason: string, hint: string | null): string {
  return hint === null ? reason : `${reason}. ${hint}`;
}

function emulated(reason: string): Acceleration {
  return { accelerator: "tcg", reason };
}

async function removeTree(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
