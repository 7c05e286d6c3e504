import { guestNetwork } from "../../vmm/passt/guest_network.ts";
import { macAddressOf } from "../../net/mac_address.ts";
import type { VmId } from "../../model/ids.ts";
import type { VmPaths } from "../../paths/paths.ts";
import type { ProcessHandle } from "../../process/host_processes.ts";
import type { VmProcess } from "../../vmm/vm_processes.ts";
import { readHandles, replaceHandles, type VmHandles } from "./handles.ts";

/**
 * Makes the remembered handles of a VM what the kernel says, whatever was in the file; `sshPort` is what the store
 * knows of its last start. `surplus` are processes that are of the VM and have no place there, since others of
 * its programs run: they are to be ended.
 */
export function restoreHandles(
  id: VmId,
  paths: VmPaths,
  processes: readonly VmProcess[],
  sshPort: number | null,
): { readonly handles: VmHandles; readonly surplus: readonly ProcessHandle[] } {
  const remembered = readHandles(paths);
  const surplus: ProcessHandle[] = [];
  const running = (program: VmProcess["program"], known: ProcessHandle | undefined) => {
    const all = processes.filter((one) => one.program === program).map(({ handle }) => handle);
    const chosen = all.find((handle) => isSame(handle, known)) ?? all[0];
    surplus.push(...all.filter((handle) => handle !== chosen));
    return chosen ?? null;
  };
  const machine = running("qemu", remembered.machine?.process);
  const passt = running("passt", remembered.passt ?? undefined);
  const netFilter = running("net_filter", remembered.netFilter ?? undefined);
  // Of a VM that is gone already, not even the directory need be there.
  const known = machine === null && passt === null && netFilter === null ? null : sshPort;
  const handles: VmHandles = {
    machine: machine === null ? null : {
      process: machine,
      runDir: paths.runDir,
      stateDir: paths.stateDir,
      memoryPath: remembered.machine?.memoryPath ?? memoryOf(paths),
    },
    passt,
    netFilter,
    network: remembered.network ?? (known === null ? null : networkOf(id, paths, known)),
  };
  if (JSON.stringify(handles) !== JSON.stringify(remembered)) replaceHandles(paths, handles);
  return { handles, surplus };
}

function isSame(one: ProcessHandle, other: ProcessHandle | undefined): boolean {
  return one.pid === other?.pid && one.startTicks === other.startTicks;
}

/** Memory that is not on the tmpfs is in the VM's own directory (`vmm/memory_file.ts`). */
function memoryOf(paths: VmPaths): string {
  try {
    Deno.lstatSync(paths.memoryOnDisk);
    return paths.memoryOnDisk;
  } catch {
    return paths.memory;
  }
}

/** As the network step makes it: all but the port follows from the VM's id. */
function networkOf(id: VmId, paths: VmPaths, sshPort: number): VmHandles["network"] {
  const { cidr: address, gateway, dns } = guestNetwork;
  const mac = macAddressOf(id);
  return { socketPath: paths.networkSocket, mac, address, gateway, dns: [dns], sshPort };
}
