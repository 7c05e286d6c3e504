import assert from "node:assert/strict";
import { isBangerError } from "../../src/model/errors.ts";
import { LocalProcesses } from "../../src/process/local_processes.ts";
import { run } from "../../src/process/run.ts";
import { kvmMarker, probeKvm } from "../../src/vmm/kvm_probe.ts";
import { QemuVmm } from "../../src/vmm/qemu/qemu_vmm.ts";
import { inGuest, testOwner, TestVm, untilConsole } from "./boot_fixture.ts";

const never = new AbortController().signal;

async function isThere(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

Deno.test("a kernel boots to user space, and a guest that reboots ends the VM", async () => {
  await using vm = await TestVm.make();
  const machine = await new QemuVmm(new LocalProcesses()).launch(vm.marker, never);
  const exit = await machine.ended;
  const console = new TextDecoder().decode(await machine.readConsole(10_000));
  assert.equal(exit.code, 0, exit.stderr);
  assert.match(console, new RegExp(kvmMarker));
  assert.equal(await isThere(vm.marker.memoryPaths.tmpfs), false);
  assert.deepEqual(await Array.fromAsync(Deno.readDir(vm.marker.runDir)), []);
});

Deno.test("QEMU has no rights but those of an ordinary user, and its sandbox is on", async () => {
  await using vm = await TestVm.make();
  const machine = await new QemuVmm(new LocalProcesses()).launch(vm.marker, never);
  try {
    const status = await Deno.readTextFile(`/proc/${machine.handle.process.pid}/status`);
    const uid = testOwner?.uid ?? Deno.uid();
    assert.match(status, new RegExp(`^Uid:\t${uid}\t${uid}\t${uid}\t${uid}$`, "m"));
    assert.notEqual(uid, 0);
    assert.match(status, /^Groups:\s*$|^Groups:\t\d/m);
    assert.match(status, /^NoNewPrivs:\t1$/m);
    assert.match(status, /^Seccomp:\t2$/m);
    assert.match(status, /^CapEff:\t0+$/m);
    assert.match(status, /^CapPrm:\t0+$/m);
    for (const name of ["q", "a", "c"]) {
      const { mode } = await Deno.lstat(`${vm.marker.runDir}/${name}`);
      assert.equal((mode ?? 0) & 0o077, 0, `socket ${name}`);
    }
    assert.equal(((await Deno.stat(vm.marker.memoryPaths.tmpfs)).mode ?? 0o077) & 0o077, 0);
  } finally {
    await machine.kill();
  }
});

Deno.test("disks, agent port, pause and adoption work, and writes stay in the overlay", async () => {
  await using vm = await TestVm.make();
  const spec = await vm.shell();
  const base = await Deno.readFile(`${vm.dir}/disks/base.ext4`);
  const vmm = new QemuVmm(new LocalProcesses());
  const first = await vmm.launch(spec, never);
  await untilConsole(first, "GUEST-READY");
  const link = await first.openAgentLink(never);
  assert.match(await inGuest(link, "cat /sys/block/vd?/serial"), /banger-root\n?banger-kit/);
  assert.match(await inGuest(link, "cat /sys/block/vda/size"), /^131072$/m);
  assert.match(await inGuest(link, "echo kept >/mark && sync"), /END 0/);
  assert.match(await inGuest(link, "touch /.banger/x"), /Read-only/);
  link.close();

  first.release();
  const second = await new QemuVmm(new LocalProcesses()).adopt(first.handle);
  assert.ok(second !== null);
  await second.pause();
  assert.equal(await second.state(), "paused");
  await second.resume();
  assert.equal(await second.state(), "running");
  const again = await second.openAgentLink(never);
  assert.match(await inGuest(again, "cat /mark"), /^kept$/m);
  await inGuest(again, "echo AFTER-ADOPTION >/dev/console");
  await untilConsole(second, "AFTER-ADOPTION", 5_000);
  again.close();

  const killedAt = performance.now();
  await second.kill();
  assert.ok(performance.now() - killedAt < 2_000);
  assert.deepEqual(await Deno.readFile(`${vm.dir}/disks/base.ext4`), base);
  const check = await run("qemu-img", ["check", "-q", `${vm.dir}/disks/root.qcow2`]);
  assert.equal(check.code, 0);

  const third = await vmm.launch(spec, never);
  try {
    await untilConsole(third, "GUEST-READY");
    const last = await third.openAgentLink(never);
    assert.match(await inGuest(last, "cat /mark"), /^kept$/m);
    const bytes = "yes | head -c 300000 >/dev/console";
    await inGuest(last, bytes);
    last.close();
    const sizes = ["console.log", "console.old"].map((name) =>
      Deno.stat(`${spec.stateDir}/${name}`).then((info) => info.size, () => 0)
    );
    const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    assert.ok(total > 300_000 && total <= 4 * 1024 * 1024, `${total} bytes of console`);
    Deno.kill(third.handle.process.pid, "SIGKILL");
    const diedAt = performance.now();
    await third.ended;
    assert.ok(performance.now() - diedAt < 2_000);
  } finally {
    await third.kill();
  }
});

Deno.test("a launch that is cancelled at any time leaves neither process nor file", async () => {
  await using vm = await TestVm.make();
  const processes = new LocalProcesses();
  for (const afterMs of [0, 5, 10, 20, 30, 50]) {
    const cancel = new AbortController();
    const timer = setTimeout(() => cancel.abort(), afterMs);
    const launch = new QemuVmm(processes).launch(vm.marker, cancel.signal);
    await launch.then((machine) => machine.kill(), (error) => {
      assert.ok(isBangerError(error, "cancelled"), String(error));
    });
    clearTimeout(timer);
    assert.equal(await isThere(vm.marker.memoryPaths.tmpfs), false);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(vm.marker.runDir)), []);
  }
});

Deno.test("the KVM trial has a verdict within its limit, remembers it and leaves nothing", async () => {
  await using vm = await TestVm.make();
  const { accelerator: _, ...machine } = vm.marker;
  const key = { bootId: "b", kernelDigest: "k", vmmVersion: "v" };
  const spec = { key, cachePath: `${vm.dir}/state/kvm.json`, machine };
  const vmm = new QemuVmm(new LocalProcesses());
  const verdict = await probeKvm(vmm, spec, never);
  assert.ok(verdict.tookMs < 6_000, `${verdict.tookMs} ms`);
  assert.ok(verdict.reason !== "");
  assert.deepEqual(await probeKvm(vmm, spec, never), { ...verdict, tookMs: 0 });
  assert.deepEqual(await Array.fromAsync(Deno.readDir(machine.runDir)), []);
  assert.equal(await isThere(machine.memoryPaths.tmpfs), false);
});
