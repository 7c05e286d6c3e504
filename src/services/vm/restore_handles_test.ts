import assert from "node:assert/strict";
import { newId, type VmId } from "../../model/ids.ts";
import { Paths, type VmPaths } from "../../paths/paths.ts";
import type { VmProcess } from "../../vmm/vm_processes.ts";
import { readHandles, writeHandles } from "./handles.ts";
import { restoreHandles } from "./restore_handles.ts";

async function withVm(body: (id: VmId, paths: VmPaths) => Promise<void> | void): Promise<void> {
  const home = await Deno.makeTempDir();
  try {
    const id = newId<VmId>();
    const paths = new Paths({ uid: 7, home }).vm(id);
    await Deno.mkdir(paths.stateDir, { recursive: true });
    await body(id, paths);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

function running(program: VmProcess["program"], pid: number): VmProcess {
  return { run: "0123456789ab", program, handle: { pid, startTicks: 10 * pid } };
}

const all = [running("qemu", 11), running("passt", 12), running("net_filter", 13)];

Deno.test("handles are what the kernel says, the network what follows from the VM", async () => {
  await withVm((id, paths) => {
    assert.deepEqual(restoreHandles(id, paths, all, 2222).surplus, []);
    const { machine, passt, netFilter, network } = readHandles(paths);
    assert.deepEqual(machine?.process, { pid: 11, startTicks: 110 });
    assert.equal(machine?.memoryPath, paths.memory);
    assert.deepEqual([passt?.pid, netFilter?.pid, network?.sshPort], [12, 13, 2222]);
    assert.equal(network?.socketPath, paths.networkSocket);
    // Nothing runs any more.
    assert.deepEqual(restoreHandles(id, paths, [], 2222).surplus, []);
    const later = readHandles(paths);
    assert.deepEqual([later.machine, later.passt, later.netFilter], [null, null, null]);
  });
});

Deno.test("of two that run the remembered one stays, and memory on disk is found", async () => {
  await withVm(async (id, paths) => {
    await Deno.writeTextFile(paths.memoryOnDisk, "");
    const second = running("qemu", 21);
    const { runDir, stateDir, memoryOnDisk: memoryPath } = paths;
    writeHandles(paths, { machine: { process: second.handle, runDir, stateDir, memoryPath } });
    assert.deepEqual(restoreHandles(id, paths, [...all, second], null).surplus, [all[0]!.handle]);
    assert.deepEqual(readHandles(paths).machine?.process, second.handle);
    await Deno.remove(paths.handles);
    restoreHandles(id, paths, all, null);
    assert.equal(readHandles(paths).machine?.memoryPath, paths.memoryOnDisk);
  });
});

Deno.test("of a VM of which nothing is left nothing is written, not even where its directory was", async () => {
  await withVm(async (id, paths) => {
    await Deno.remove(paths.stateDir);
    assert.deepEqual(restoreHandles(id, paths, [], 2222).surplus, []);
    await assert.rejects(Deno.lstat(paths.stateDir), Deno.errors.NotFound);
  });
});
