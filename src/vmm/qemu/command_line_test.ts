import assert from "node:assert/strict";
import { newId, type VmId } from "../../model/ids.ts";
import { isBangerError } from "../../model/errors.ts";
import type { MachineSpec } from "../contract.ts";
import { qemuCommandLine } from "./command_line.ts";

const memoryPath = "/dev/shm/x";

const spec: MachineSpec = {
  vmId: "00112233445566aa" as VmId,
  cpus: 2,
  memoryMib: 1024,
  kernelPath: "/state/kernels/k/vmlinux",
  initrdPath: "/state/kernels/k/initrd.img",
  commandLine: ["banger.test=1"],
  disks: [
    {
      serial: "banger-root",
      path: "/state/vms/x/root.qcow2",
      format: "qcow2",
      readOnly: false,
      backingPath: "/state/images/i/rootfs.ext4",
    },
    {
      serial: "banger-kit",
      path: "/state/kit.ext4",
      format: "raw",
      readOnly: true,
      backingPath: null,
    },
  ],
  network: { socketPath: "/run/x/n", mac: "02:00:11:22:33:44" },
  runDir: "/run/x",
  stateDir: "/state/vms/x",
  memoryPaths: { tmpfs: memoryPath, disk: "/state/memory" },
  accelerator: "tcg",
  dropTo: null,
  hostTscKhz: 2_596_138,
};

Deno.test("the command line is what it was when it was measured", () => {
  const { args, files } = qemuCommandLine(spec, memoryPath);
  assert.deepEqual(files, [
    { path: "/dev/shm/x", access: "read_write" },
    { path: "/state/kernels/k/vmlinux", access: "read" },
    { path: "/state/vms/x/root.qcow2", access: "read_write" },
    { path: "/state/images/i/rootfs.ext4", access: "read" },
    { path: "/state/kit.ext4", access: "read" },
    { path: "/state/kernels/k/initrd.img", access: "read" },
  ]);
  assert.deepEqual(args.join("\n").split("\n-").map((line) => line.replace("\n", " ")), golden);
});

const golden = [
  "-name guest=banger-00112233445566aa",
  "nodefaults",
  "no-user-config",
  "display none",
  "no-reboot",
  "sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
  "machine microvm,rtc=on,isa-serial=on,auto-kernel-cmdline=off,memory-backend=memory",
  "accel tcg,thread=multi",
  "cpu max,-erms,-fsrm",
  "smp 2",
  "m 1024M",
  'object {"qom-type":"memory-backend-file","id":"memory","size":1073741824,"mem-path":"/proc/self/fd/3","share":true}',
  "chardev socket,id=qmp,path=/run/x/q,server=on,wait=off",
  "mon chardev=qmp,mode=control",
  "chardev socket,id=console,path=/run/x/c,server=on,wait=off",
  'device {"driver":"isa-serial","chardev":"console"}',
  "chardev socket,id=agent,path=/run/x/a,server=on,wait=off",
  'device {"driver":"virtio-serial-device","max_ports":8}',
  'device {"driver":"virtserialport","chardev":"agent","name":"banger.agent.0"}',
  "chardev socket,id=lane0,path=/run/x/0,server=on,wait=off",
  "chardev socket,id=lane1,path=/run/x/1,server=on,wait=off",
  "chardev socket,id=lane2,path=/run/x/2,server=on,wait=off",
  "chardev socket,id=lane3,path=/run/x/3,server=on,wait=off",
  "chardev socket,id=lane4,path=/run/x/4,server=on,wait=off",
  "chardev socket,id=lane5,path=/run/x/5,server=on,wait=off",
  "kernel /proc/self/fd/4",
  "append console=ttyS0 panic=-1 reboot=t i8042.noaux i8042.nokbd i8042.nomux i8042.nopnp random.trust_cpu=on cryptomgr.notests quiet tsc=reliable tsc_early_khz=2596138 banger.test=1",
  "add-fd fd=5,set=3",
  'blockdev {"driver":"file","node-name":"banger-root-file","filename":"/dev/fdset/3","aio":"threads","read-only":false,"discard":"unmap","cache":{"direct":false,"no-flush":false}}',
  "add-fd fd=6,set=4",
  'blockdev {"driver":"file","node-name":"banger-root-base-file","filename":"/dev/fdset/4","aio":"threads","read-only":true,"cache":{"direct":false,"no-flush":false}}',
  'blockdev {"driver":"raw","node-name":"banger-root-base","file":"banger-root-base-file","read-only":true,"cache":{"direct":false,"no-flush":false}}',
  'blockdev {"driver":"qcow2","node-name":"banger-root","file":"banger-root-file","backing":"banger-root-base","read-only":false,"discard":"unmap","cache":{"direct":false,"no-flush":false}}',
  'device {"driver":"virtio-blk-device","drive":"banger-root","serial":"banger-root","num-queues":1}',
  "add-fd fd=7,set=5",
  'blockdev {"driver":"file","node-name":"banger-kit-file","filename":"/dev/fdset/5","aio":"threads","read-only":true,"cache":{"direct":false,"no-flush":false}}',
  'blockdev {"driver":"raw","node-name":"banger-kit","file":"banger-kit-file","read-only":true,"cache":{"direct":false,"no-flush":false}}',
  'device {"driver":"virtio-blk-device","drive":"banger-kit","serial":"banger-kit","num-queues":1}',
  "initrd /proc/self/fd/8",
  'netdev {"type":"stream","id":"net","server":false,"addr":{"type":"unix","path":"/run/x/n"}}',
  'device {"driver":"virtio-net-device","netdev":"net","mac":"02:00:11:22:33:44"}',
  'device {"driver":"virtio-rng-device"}',
];

Deno.test("with a work disk and modules the initrd is standard input", () => {
  const disk = { format: "raw", readOnly: true, backingPath: null } as const;
  const { args, files } = qemuCommandLine({
    ...spec,
    disks: [
      ...spec.disks,
      { ...disk, serial: "banger-modules", path: "/state/modules.ext4" },
      { ...disk, serial: "banger-work", path: "/state/vms/x/work.ext4", readOnly: false },
    ],
  }, memoryPath);
  assert.deepEqual(files.slice(-2), [
    { path: "/state/vms/x/work.ext4", access: "read_write" },
    { path: "/state/kernels/k/initrd.img", access: "read" },
  ]);
  assert.equal(args[args.indexOf("-initrd") + 1], "/proc/self/fd/0");
  assert.ok(!args.includes("fd=0,set=8"));
});

Deno.test("no path of a disk or kernel is an argument, and commas stay within a value", () => {
  const { args } = qemuCommandLine({
    ...spec,
    runDir: "/run/a,server=off",
    kernelPath: "/state/a,b -device x",
  }, memoryPath);
  const text = args.join("\n");
  assert.match(text, /path=\/run\/a,,server=off\/q,server=on/);
  assert.doesNotMatch(text, /\/state/);
});

Deno.test("KVM, disposable disks and no network change just their own words", () => {
  const plain = new Set(qemuCommandLine(spec, memoryPath).args);
  const other = qemuCommandLine({
    ...spec,
    accelerator: "kvm",
    disposable: true,
    network: null,
  }, memoryPath);
  const added = other.args.filter((word) => !plain.has(word));
  assert.deepEqual(added.filter((word) => !word.includes('"no-flush":true')), [
    "kvm",
    "host",
    "console=ttyS0 panic=-1 reboot=t i8042.noaux i8042.nokbd i8042.nomux i8042.nopnp random.trust_cpu=on cryptomgr.notests quiet banger.test=1",
  ]);
});

Deno.test("a run directory that is too long for sockets is refused", () => {
  const limit = 107 - "/q".length;
  qemuCommandLine({ ...spec, runDir: `/${"x".repeat(limit - 1)}` }, memoryPath);
  assert.throws(
    () =>
      qemuCommandLine(
        { ...spec, vmId: newId<VmId>(), runDir: `/${"x".repeat(limit)}` },
        memoryPath,
      ),
    (error) => isBangerError(error, "precondition"),
  );
});
