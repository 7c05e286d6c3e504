import type { VmView } from "../../api/vm.ts";
import type { VmRecord } from "../../model/vm.ts";
import type { VmPaths } from "../../paths/paths.ts";

/** What a VM's disks really take on the host, in bytes. */
export interface DisksUsed {
  readonly system: number;
  /** 0 without a work disk. */
  readonly work: number;
}

/** A VM as clients see it. `used` is of now: {@linkcode disksUsed}. */
export function viewOf(vm: VmRecord, used: DisksUsed): VmView {
  const runs = vm.state === "running" || vm.state === "stopping";
  return {
    id: vm.id,
    name: vm.config.name,
    state: vm.state,
    failure: vm.failure,
    image: vm.config.image,
    kernel: vm.config.kernel,
    cpus: vm.config.cpus,
    memoryMib: vm.config.memoryMib,
    diskBytes: vm.config.diskBytes,
    labels: vm.labels,
    autoStopMs: vm.autoStopMs,
    command: vm.command === null ? null : [...vm.command],
    published: [...vm.published],
    autoPorts: vm.autoPorts,
    diskUsedBytes: used.system,
    workDiskBytes: vm.config.workDiskBytes,
    workDiskUsedBytes: used.work,
    ephemeral: vm.ephemeral,
    workspace: vm.workspace,
    createdAtMs: vm.createdAtMs,
    startedAtMs: vm.startedAtMs,
    vmm: vm.runtime?.vmm ?? null,
    accelerator: vm.runtime?.accelerator ?? null,
    sshPort: runs ? vm.runtime?.sshPort ?? null : null,
    readyAfterMs: vm.runtime?.readyAfterMs ?? null,
  };
}

/** What the disks of a VM take now: one stat(2) each. @param workDiskBytes as in its configuration */
export function disksUsed(
  workDiskBytes: number,
  paths: Pick<VmPaths, "overlay" | "workDisk">,
): DisksUsed {
  return {
    system: diskUsed(paths.overlay),
    work: workDiskBytes === 0 ? 0 : diskUsed(paths.workDisk),
  };
}

/** Bytes that the file at `path` takes on the host; 0 when there is none. One stat(2). */
function diskUsed(path: string): number {
  try {
    // st_blocks counts 512-byte units whatever the file system's block size is, stat(2).
    return (Deno.statSync(path).blocks ?? 0) * 512;
  } catch {
    return 0;
  }
}
