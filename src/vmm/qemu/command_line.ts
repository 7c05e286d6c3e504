import type { PassedFile } from "../../process/host_processes.ts";
import { passedDescriptor } from "../../process/launch_command.ts";
import { agentPortName } from "../../wire/messages.ts";
import type { DiskSpec, MachineSpec } from "../contract.ts";
import { laneId } from "./lane_ports.ts";
import { kernelCommandLine } from "./kernel_arguments.ts";
import { socketPaths } from "./socket_paths.ts";

/** What QEMU is started with. */
export interface QemuCommandLine {
  readonly args: readonly string[];
  /** Files that QEMU inherits as descriptors (`passedDescriptor`); `args` names them by number only. */
  readonly files: readonly PassedFile[];
}

/**
 * QEMU's command line for `spec` with its memory in the file at `memoryPath`. Pure: the same specification gives the same words. Kernel, initrd
 * memory and disks are passed as open descriptors, so a QEMU that runs as another user needs rights
 * to `runDir` and to the memory file itself only, not to the directories above it.
 *
 * @throws BangerError `precondition` when `runDir` is too long for socket paths
 */
export function qemuCommandLine(spec: MachineSpec, memoryPath: string): QemuCommandLine {
  const files = new PassedFiles();
  const args = [
    ...["-name", `guest=banger-${spec.vmId}`],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...sandboxArgs,
    ...machineArgs(spec),
    ...memoryArgs(spec.memoryMib, files.path(memoryPath, "read_write")),
    ...channelArgs(spec),
    ...["-kernel", files.path(spec.kernelPath), "-append", kernelCommandLine(spec)],
    ...spec.disks.flatMap((disk) => diskArgs(disk, spec.disposable === true, files)),
    // The last file may become standard input, which `-add-fd` does not take.
    ...(spec.initrdPath === null ? [] : ["-initrd", files.path(spec.initrdPath)]),
    ...networkArgs(spec),
    ...["-device", json({ driver: "virtio-rng-device" })],
  ];
  return { args, files: files.all };
}

/** seccomp: no obsolete calls, no new privileges, no fork or exec, no affinity or priorities. */
const sandboxArgs = [
  "-sandbox",
  "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
];

/** `rep movs` in its fast forms, which the kernel uses where it can, is slow under emulation. */
const emulatedCpu = "max,-erms,-fsrm";

function machineArgs(spec: MachineSpec): string[] {
  const kvm = spec.accelerator === "kvm";
  return [
    "-machine",
    "microvm,rtc=on,isa-serial=on,auto-kernel-cmdline=off,memory-backend=memory",
    ...["-accel", kvm ? "kvm" : "tcg,thread=multi"],
    ...["-cpu", kvm ? "host" : emulatedCpu],
    ...["-smp", `${spec.cpus}`],
  ];
}

function memoryArgs(memoryMib: number, path: string): string[] {
  return ["-m", `${memoryMib}M`].concat(
    "-object",
    json({
      "qom-type": "memory-backend-file",
      id: "memory",
      size: memoryMib * 1024 * 1024,
      "mem-path": path,
      share: true,
    }),
  );
}

/**
 * QMP, console, agent and lanes: Unix sockets that QEMU listens on without waiting for a peer. A lane gets
 * its port when it is first used (`lane_ports.ts`): each takes 4 MiB of the guest's memory and a moment of
 * its start.
 */
function channelArgs(spec: MachineSpec): string[] {
  const sockets = socketPaths(spec.runDir);
  return [
    ...["-chardev", listeningSocket("qmp", sockets.qmp)],
    ...["-mon", "chardev=qmp,mode=control"],
    ...["-chardev", listeningSocket("console", sockets.console)],
    ...["-device", json({ driver: "isa-serial", chardev: "console" })],
    ...["-chardev", listeningSocket("agent", sockets.agent)],
    ...["-device", json({ driver: "virtio-serial-device", max_ports: 2 + sockets.lanes.length })],
    ...["-device", json({ driver: "virtserialport", chardev: "agent", name: agentPortName })],
    ...sockets.lanes.flatMap((path, lane) => [
      "-chardev",
      listeningSocket(laneId(lane), path),
    ]),
  ];
}

/** `-chardev` has no JSON form: a comma in a value is written twice. */
function listeningSocket(id: string, path: string): string {
  return `socket,id=${id},path=${path.replaceAll(",", ",,")},server=on,wait=off`;
}

function diskArgs(disk: DiskSpec, disposable: boolean, files: PassedFiles): string[] {
  const cache = { direct: false, "no-flush": disposable };
  const node = disk.serial;
  const args = [...blockFile(`${node}-file`, disk.path, disk.readOnly, cache, files)];
  const backing = disk.backingPath === null ? undefined : `${node}-base`;
  if (disk.backingPath !== null) {
    args.push(...blockFile(`${node}-base-file`, disk.backingPath, true, cache, files));
    args.push(
      "-blockdev",
      json({
        driver: "raw",
        "node-name": `${node}-base`,
        file: `${node}-base-file`,
        "read-only": true,
        cache,
      }),
    );
  }
  args.push(
    "-blockdev",
    json({
      driver: disk.format,
      "node-name": node,
      file: `${node}-file`,
      ...(backing === undefined ? {} : { backing }),
      "read-only": disk.readOnly,
      ...(disk.readOnly ? {} : { discard: "unmap" }),
      cache,
    }),
    "-device",
    // One queue: a virtio-mmio device has one interrupt, so more would share it.
    json({ driver: "virtio-blk-device", drive: node, serial: disk.serial, "num-queues": 1 }),
  );
  return args;
}

function blockFile(
  nodeName: string,
  path: string,
  readOnly: boolean,
  cache: { direct: boolean; "no-flush": boolean },
  files: PassedFiles,
): string[] {
  const { set, descriptor } = files.add(path, readOnly ? "read" : "read_write");
  return [
    ...["-add-fd", `fd=${descriptor},set=${set}`],
    ...[
      "-blockdev",
      json({
        driver: "file",
        "node-name": nodeName,
        filename: `/dev/fdset/${set}`,
        aio: "threads",
        "read-only": readOnly,
        ...(readOnly ? {} : { discard: "unmap" }),
        cache,
      }),
    ],
  ];
}

function networkArgs(spec: MachineSpec): string[] {
  if (spec.network === null) return [];
  const { socketPath, mac } = spec.network;
  return [
    "-netdev",
    json({
      type: "stream",
      id: "net",
      server: false,
      addr: { type: "unix", path: socketPath },
    }),
    ...["-device", json({ driver: "virtio-net-device", netdev: "net", mac })],
  ];
}

function json(value: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(value);
}

/** Numbers the files as the launcher opens them. */
class PassedFiles {
  readonly all: PassedFile[] = [];

  add(path: string, access: PassedFile["access"]): { descriptor: number; set: number } {
    this.all.push({ path, access });
    return { descriptor: passedDescriptor(this.all.length - 1), set: this.all.length };
  }

  /** The name under which the started program can open a file that it inherited. */
  path(path: string, access: PassedFile["access"] = "read"): string {
    return `/proc/self/fd/${this.add(path, access).descriptor}`;
  }
}
