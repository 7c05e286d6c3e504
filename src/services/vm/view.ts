import type { VmView } from "../../api/vm.ts";
import type { VmRecord } from "../../model/vm.ts";

/** A VM as clients see it. `diskUsedBytes`: what its disk takes on the host, {@linkcode diskUsed}. */
export function viewOf(vm: VmRecord, diskUsedBytes: number): VmView {
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
    diskUsedBytes,
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

/** Bytes that the file at `path` takes on the host; 0 when there is none. One stat(2). */
export function diskUsed(path: string): number {
  try {
    // st_blocks counts 512-byte units whatever the file system's block size is, stat(2).
    return (Deno.statSync(path).blocks ?? 0) * 512;
  } catch {
    return 0;
  }
}
