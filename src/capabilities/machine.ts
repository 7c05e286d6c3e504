import { removeSeededInitrd } from "../kernels/seeded_initrd.ts";
import { readHandles, writeHandles } from "../services/vm/handles.ts";
import type { Missing, StartStep } from "../services/vm/contract.ts";
import type { KernelRecord } from "../model/artefacts.ts";
import type { VmId } from "../model/ids.ts";
import type { Accelerator, Vmm } from "../vmm/contract.ts";
import type { VmOwner } from "./places.ts";

/** What {@linkcode machineStep} needs. */
export interface MachineDeps {
  readonly vmm: Vmm;
  readonly ownerOf: (vm: VmId) => VmOwner;
  /** Whether KVM can run this kernel here; a trial boot the first time. */
  readonly accelerator: (
    kernel: KernelRecord,
    signal: AbortSignal,
  ) => Promise<{ readonly accelerator: Accelerator; readonly reason: string }>;
  /** Rate of the host's time stamp counter in kHz, when it is known. */
  readonly hostTscKhz: number | null;
  readonly missing: () => Promise<readonly Missing[]>;
}

/** CONFIG_HZ of Debian's kernels, and of the generic one (`images/kernel`). */
const knownHz = 250;
/** Releases of theirs, whoever has published them. */
const knownReleases = /^[0-9.]+(-[0-9]+(-cloud)?-(amd64|arm64)|-banger)$/;

/**
 * What the kernel's delay loop is, so that no processor of the guest measures it: under emulation one that is
 * held up at the wrong moment measures wrong, or for ever (kernel-parameters.txt, `lpj=`; it follows from the
 * time stamp counter's rate). Only where the kernel's timer rate is known.
 */
function delayLoop(
  kernel: KernelRecord,
  accelerator: Accelerator,
  tscKhz: number | null,
): readonly string[] {
  if (accelerator !== "tcg" || tscKhz === null) return [];
  if (!knownReleases.test(kernel.version)) return [];
  return [`lpj=${Math.floor((tscKhz * 1000) / knownHz)}`];
}

/** The VM's process. Boots the kernel; the guest is not ready yet when this step has started. */
export function machineStep(deps: MachineDeps): StartStep {
  return {
    name: "machine",
    dependsOn: ["places", "system_disk", "work_disk", "network", "identity"],
    preflight: () => deps.missing(),
    async start({ vm, paths, bootSet, facts, reporter, signal }) {
      const { kernel } = bootSet;
      const { accelerator, reason } = await deps.accelerator(kernel, signal);
      if (accelerator === "tcg") {
        // One line here; what would mend it is the doctor's to say.
        const clause = reason.split(/[:.] /, 1)[0];
        reporter.notice(`Using software emulation (slower): ${clause} (banger doctor tells more)`);
      }
      facts.accelerator = accelerator;
      await reporter.stage({ id: "vm.launch", title: "Starting the VM" }, async () => {
        facts.machine = await deps.vmm.launch({
          vmId: vm.id,
          cpus: vm.config.cpus,
          memoryMib: vm.config.memoryMib,
          kernelPath: kernel.vmlinuxPath,
          initrdPath: facts.initrdPath,
          commandLine: [
            ...delayLoop(kernel, accelerator, deps.hostTscKhz),
            ...kernel.commandLine,
          ],
          disks: facts.disks,
          network: facts.network === null
            ? null
            : { socketPath: facts.network.socketPath, mac: facts.network.mac },
          runDir: paths.runDir,
          stateDir: paths.stateDir,
          memoryPaths: { tmpfs: paths.memory, disk: paths.memoryOnDisk },
          accelerator,
          hostTscKhz: deps.hostTscKhz,
          dropTo: deps.ownerOf(vm.id),
          // Before anything is waited for: a daemon that dies then leaves a process to be found.
          onProcess: (machine) => writeHandles(paths, { machine }),
        }, signal);
        writeHandles(paths, { machine: facts.machine.handle });
        // The VMM has read it; the guest's private key is in it.
        if (facts.initrdPath !== null) await removeSeededInitrd(facts.initrdPath);
      });
    },
    async stop(_vm, paths) {
      const { machine } = readHandles(paths);
      if (machine === null) {
        const memoryPaths = { tmpfs: paths.memory, disk: paths.memoryOnDisk };
        return await deps.vmm.clear({ runDir: paths.runDir, memoryPaths });
      }
      await (await deps.vmm.adopt(machine))?.kill();
      writeHandles(paths, { machine: null });
    },
  };
}
