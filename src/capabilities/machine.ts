import { removeSeededInitrd } from "../kernels/seeded_initrd.ts";
import { readHandles, writeHandles } from "../services/vm/handles.ts";
import type { BootSet, Missing, StartStep } from "../services/vm/contract.ts";
import type { KernelRecord } from "../model/artefacts.ts";
import type { VmId } from "../model/ids.ts";
import type { VmPaths } from "../paths/paths.ts";
import type { Accelerator, Vmm } from "../vmm/contract.ts";
import type { MemoryPaths } from "../vmm/memory_file.ts";
import { missingFile } from "./missing_file.ts";
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
  /** Programs that are not installed. */
  readonly missing: () => Promise<readonly Missing[]>;
  /** Why a guest cannot have so much memory now; `null` when it can. */
  readonly memoryProblem: (paths: MemoryPaths, memoryMib: number) => Promise<string | null>;
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
    preflight: async (plan) => {
      const { paths, memoryMib, needsRoom, bootSet } = plan;
      const found = await Promise.all([
        deps.missing(),
        needsRoom ? missingMemory(deps, memoryPathsOf(paths), memoryMib) : [],
        bootSet === null ? [] : missingKernelFiles(bootSet),
      ]);
      return found.flat();
    },
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
          memoryPaths: memoryPathsOf(paths),
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

function memoryPathsOf({ memory, memoryOnDisk }: VmPaths): MemoryPaths {
  return { tmpfs: memory, disk: memoryOnDisk };
}

async function missingMemory(
  { memoryProblem }: MachineDeps,
  paths: MemoryPaths,
  memoryMib: number,
): Promise<Missing[]> {
  const problem = await memoryProblem(paths, memoryMib);
  const hint = "Choose less memory (--memory; banger vm set), or stop a VM: banger vm list";
  return problem === null ? [] : [{ what: problem, hint }];
}

async function missingKernelFiles({ kernel, kitPath }: BootSet): Promise<Missing[]> {
  const { name, vmlinuxPath, initrdPath, modulesPath } = kernel;
  const again = `banger kernel pull ${name} --refresh`;
  const looks = [vmlinuxPath, initrdPath, modulesPath].map((path) =>
    path === null ? [] : missingFile(`kernel "${name}"`, path, again)
  );
  return (await Promise.all([...looks, missingFile("the guest kit", kitPath, "banger doctor")]))
    .flat();
}
