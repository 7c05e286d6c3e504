import * as v from "valibot";
import { portLimits } from "../model/published_port.ts";
import { vmStates } from "../model/vm.ts";
import {
  autoStopMs,
  begun,
  count,
  cpus,
  diskBytes,
  id,
  labelChanges,
  labels,
  memoryMib,
  method,
  nameOf,
  nothing,
  port,
  vmRef,
  workDiskBytes,
} from "./schema.ts";

/** A VM as clients see it; the stable shape behind `vm show --json`. */
export const vmView = v.object({
  id,
  name: v.string(),
  state: v.picklist(vmStates),
  failure: v.nullable(v.string()),
  image: v.string(),
  kernel: v.string(),
  cpus: count,
  memoryMib: count,
  diskBytes: count,
  labels: v.record(v.string(), v.string()),
  /** After how long without use it is stopped; 0: never, `null`: as configured. */
  autoStopMs: v.nullable(count),
  /** What is run in it without a command; `null`: a shell, or what its image says. */
  command: v.nullable(v.array(v.string())),
  /** Ports of the host's loopback that lead to ports of the guest while it runs. */
  published: v.array(v.object({ hostPort: port, guestPort: port })),
  /** Whether what listens in it is forwarded from the host's loopback by itself. */
  autoPorts: v.boolean(),
  /** What its disk really takes on the host now. */
  diskUsedBytes: count,
  /** 0: it has no work disk. */
  workDiskBytes: count,
  workDiskUsedBytes: count,
  ephemeral: v.boolean(),
  workspace: v.nullable(v.string()),
  createdAtMs: count,
  startedAtMs: v.nullable(count),
  vmm: v.nullable(v.picklist(["qemu", "firecracker"])),
  accelerator: v.nullable(v.picklist(["kvm", "tcg"])),
  sshPort: v.nullable(count),
  readyAfterMs: v.nullable(count),
});

/** See {@linkcode vmView}. */
export type VmView = v.InferOutput<typeof vmView>;

/**
 * What a table of all VMs shows, small enough that a thousand of them cost a client little: what VMs
 * have in common is told once for all that are alike.
 */
export const vmOverview = v.object({
  groups: v.array(v.object({
    state: v.picklist(vmStates),
    image: v.string(),
    cpus: count,
    memoryMib: count,
    diskBytes: count,
    vmm: v.nullable(v.picklist(["qemu", "firecracker"])),
    accelerator: v.nullable(v.picklist(["kvm", "tcg"])),
  })),
  /** Name, time of creation (ms since the epoch) and index of the group of each, oldest first. */
  vms: v.array(v.tuple([v.string(), count, count])),
});

/** See {@linkcode vmOverview}. */
export type VmOverview = v.InferOutput<typeof vmOverview>;

/** What `ssh` needs to reach a VM. */
export const sshTarget = v.object({
  vmId: id,
  host: v.literal("127.0.0.1"),
  port: count,
  user: v.string(),
  keyPath: v.string(),
  knownHostsPath: v.string(),
  workspace: v.nullable(v.string()),
});

/** See {@linkcode sshTarget}. */
export type SshTarget = v.InferOutput<typeof sshTarget>;

/** How a guest is. */
export const guestHealth = v.object({
  agentVersion: v.string(),
  /** Seconds since its kernel started. */
  uptimeS: v.number(),
  /** As `systemctl is-system-running` says; "none" without systemd. */
  initState: v.string(),
  sshReady: v.boolean(),
  /** How long the agent took to answer, in milliseconds. */
  answeredAfterMs: v.number(),
});

/** See {@linkcode guestHealth}. */
export type GuestHealth = v.InferOutput<typeof guestHealth>;

/** What a running VM uses. */
export const vmStatsView = v.object({
  id,
  name: v.string(),
  /** When it was measured, milliseconds since the epoch. */
  measuredAtMs: count,
  /** Of one processor, in per cent; `null` when it cannot be told yet. */
  cpuPercent: v.nullable(v.number()),
  cpus: count,
  /** Time of all the guest's processors that was not idle, since its start. */
  cpuBusyS: v.nullable(v.number()),
  load1: v.number(),
  memoryUsedBytes: count,
  memoryTotalBytes: count,
  /** Of the guest's root file system. */
  diskUsedBytes: count,
  diskTotalBytes: count,
  /** What the VM's disks take on the host. */
  hostDiskBytes: count,
  receivedBytes: v.nullable(v.number()),
  sentBytes: v.nullable(v.number()),
  receivedBytesPerS: v.nullable(v.number()),
  sentBytesPerS: v.nullable(v.number()),
  sshSessions: v.nullable(v.number()),
  execs: count,
});

/** See {@linkcode vmStatsView}. */
export type VmStatsView = v.InferOutput<typeof vmStatsView>;

/** A port of a guest: something listens on it, or a port of the host leads to it, or both. */
export const vmPort = v.object({
  protocol: v.picklist(["tcp", "udp"]),
  /** What listens there; `null`: nothing does, or the VM does not run. */
  address: v.nullable(v.string()),
  port: count,
  /** The program's name, when it can be told. */
  process: v.nullable(v.string()),
  /** The port of the host's loopback that leads there; `null`: none does. */
  hostPort: v.nullable(port),
  /** Why it does. */
  how: v.nullable(v.picklist(["published", "auto", "ssh"])),
  /** Whether the host's port is open now: a published one is not while the VM does not run. */
  open: v.boolean(),
});

/** See {@linkcode vmPort}. */
export type VmPort = v.InferOutput<typeof vmPort>;

/** A port of the host that leads to a guest now. */
export const vmForward = v.object({
  hostPort: port,
  guestPort: port,
  reason: v.picklist(["published", "auto"]),
});

/** See {@linkcode vmForward}. */
export type VmForward = v.InferOutput<typeof vmForward>;

/** Ports to publish; see `model/published_port.ts`. */
const wantedPorts = v.pipe(
  v.array(v.strictObject({ hostPort: v.nullable(port), guestPort: port })),
  v.maxLength(portLimits.published),
);

const text = v.pipe(v.string(), v.maxLength(128 * 1024), v.check((s) => !s.includes("\0"), "NUL"));

/** What a VM runs without a command: its first word names a program. */
const ownCommand = v.pipe(
  v.array(v.pipe(text, v.maxLength(4096))),
  v.minLength(1),
  v.maxLength(256),
  v.check((argv) => argv[0] !== "", "the first word is empty"),
);

/** A command to run in a guest. */
const command = {
  /** Empty: a shell, or where the guest has none ENTRYPOINT and CMD of its image. */
  argv: v.pipe(v.array(text), v.maxLength(4096)),
  cwd: v.nullable(text),
  env: v.record(v.pipe(v.string(), v.regex(/^[A-Za-z_][A-Za-z0-9_]*$/)), text),
  user: v.nullable(v.pipe(v.string(), v.maxLength(64))),
  /** Whether variables, directory and user of the image apply where the rest says nothing. */
  imageDefaults: v.boolean(),
  /**
   * `inside`: it starts in the VM's workspace where there is one and `cwd` says nothing. `new`: it is what
   * makes the workspace; it gets its place as `BANGER_WORKSPACE` and its owner as `BANGER_WORKSPACE_OWNER`.
   */
  workspace: v.picklist(["none", "inside", "new"]),
};

/** See {@linkcode command}. */
export const execParams = v.strictObject({ vm: vmRef, ...command, stdin: v.boolean() });

/** Methods on VMs. `begun` ones are operations; watch them with `operation.watch`. */
export const vmMethods = {
  "vm.list": method(nothing, v.object({ vms: v.array(vmView) })),
  "vm.overview": method(nothing, vmOverview),
  "vm.show": method(v.strictObject({ vm: vmRef }), v.object({ vm: vmView })),
  /**
   * Creates a VM and, with `start`, boots it until its agent answers. Left-out values come from the
   * configuration. With `lease`, the VM belongs to this connection: when the connection ends before
   * `vm.release`, an unfinished create is cancelled, and a VM with `ephemeral` is deleted.
   * Result of the operation: `{ vm: VmView, timings }`.
   */
  "vm.create": method(
    v.strictObject({
      name: v.nullable(nameOf("VM")),
      image: v.nullable(nameOf("image")),
      kernel: v.nullable(nameOf("kernel")),
      cpus: v.nullable(cpus),
      memoryMib: v.nullable(memoryMib),
      diskBytes: v.nullable(diskBytes),
      /** An ephemeral VM has none, whatever is configured. */
      workDiskBytes: v.nullable(workDiskBytes),
      labels,
      autoStopMs: v.nullable(autoStopMs),
      /** Refused with `conflict` when a host port is taken. */
      publish: wantedPorts,
      autoPorts: v.boolean(),
      workspace: v.nullable(v.pipe(v.string(), v.minLength(1), v.maxLength(255))),
      ephemeral: v.boolean(),
      lease: v.boolean(),
      start: v.boolean(),
      /** Whether variables, directory and user of the image apply in it, and the workspace is that user's. */
      imageDefaults: v.boolean(),
      /** Git identity of the calling user for the guest. */
      gitIdentity: v.nullable(v.object({ name: text, email: text })),
    }),
    begun,
  ),
  /** Ends the lease; the VM stays (also an ephemeral one until it is deleted). */
  "vm.release": method(v.strictObject({ vm: vmRef }), nothing),
  "vm.start": method(v.strictObject({ vm: vmRef }), begun),
  /** Stops it when it runs, as `vm.stop`, and starts it, with nobody in between. */
  "vm.restart": method(
    v.strictObject({ vm: vmRef, timeoutMs: v.nullable(count), force: v.boolean() }),
    begun,
  ),
  /**
   * Changes what is not `null`. Processors, memory and disks only while it does not run (`precondition`);
   * disks only grow (`invalid`). `labels`: a value sets one, `null` removes it.
   */
  "vm.set": method(
    v.strictObject({
      vm: vmRef,
      name: v.nullable(nameOf("VM")),
      cpus: v.nullable(cpus),
      memoryMib: v.nullable(memoryMib),
      diskBytes: v.nullable(diskBytes),
      /** Of a VM without one: it gets one, which its home directory is copied to at its next start. */
      workDiskBytes: v.nullable(workDiskBytes),
      labels: labelChanges,
      autoStopMs: v.union([v.nullable(autoStopMs), v.literal("keep")]),
      /** What is run without a command; `null`: a shell, or what the image says. */
      command: v.union([v.nullable(ownCommand), v.literal("keep")]),
      autoPorts: v.nullable(v.boolean()),
    }),
    v.object({ vm: vmView }),
  ),
  /**
   * A fresh system disk, of another image when one is named. Refused while it runs (`conflict`) and without a
   * work disk (`precondition`), unless `force`.
   */
  "vm.reset": method(
    v.strictObject({ vm: vmRef, image: v.nullable(nameOf("image")), force: v.boolean() }),
    begun,
  ),
  /** Asks the guest to power off, then ends the VMM after `timeoutMs`; `force` skips the asking. */
  "vm.stop": method(
    v.strictObject({ vm: vmRef, timeoutMs: v.nullable(count), force: v.boolean() }),
    begun,
  ),
  /** Refused with `conflict` while it runs, unless `force`. Idempotent by id. */
  "vm.delete": method(v.strictObject({ vm: vmRef, force: v.boolean() }), begun),
  /**
   * The end of the console, base64, at most `maxBytes` (4 MiB). `after` is the `position` of an earlier
   * answer: only what came since. `more`: the VM has not ended, more may come.
   */
  "vm.logs": method(
    v.strictObject({
      vm: vmRef,
      maxBytes: v.pipe(count, v.maxValue(4 * 1024 ** 2)),
      after: v.nullable(v.pipe(v.string(), v.regex(/^[0-9]{1,20}:[0-9]{1,12}$/))),
    }),
    v.object({ console: v.string(), position: v.nullable(v.string()), more: v.boolean() }),
  ),
  /** How the guest is, as its agent says. @throws `precondition` when the VM does not run */
  "vm.health": method(v.strictObject({ vm: vmRef }), v.object({ health: guestHealth })),
  /**
   * What running VMs use now, measured for the answer; of all when `vms` is `null`. One that does not run, or
   * does not answer, is left out when all are asked for, and an error otherwise.
   */
  "vm.stats": method(
    v.strictObject({ vms: v.nullable(v.pipe(v.array(vmRef), v.maxLength(1024))) }),
    v.object({ stats: v.array(vmStatsView) }),
  ),
  /** What was measured in the last hour, oldest first. */
  "vm.stats_history": method(
    v.strictObject({ vm: vmRef }),
    v.object({ stats: v.array(vmStatsView) }),
  ),
  /** What listens in the guest, and the ports of the host that lead there; of a VM that does not run, those. */
  "vm.ports": method(v.strictObject({ vm: vmRef }), v.object({ ports: v.array(vmPort) })),
  /**
   * Publishes all of `ports` or none; answers them with their numbers on the host, in their order. Refused with
   * `conflict` when a host port is taken.
   */
  "vm.publish": method(
    v.strictObject({ vm: vmRef, ports: wantedPorts }),
    v.object({ published: v.array(v.object({ hostPort: port, guestPort: port })) }),
  ),
  /** Takes published ports back; one without a host port means all of the guest's. */
  "vm.unpublish": method(
    v.strictObject({ vm: vmRef, ports: wantedPorts }),
    v.object({ removed: v.array(v.object({ hostPort: port, guestPort: port })) }),
  ),
  /**
   * Ports of the host that lead to a running guest. With `after`, the `revision` of an earlier answer, it is
   * answered when they have changed since, or after half a minute.
   */
  "vm.forwards": method(
    v.strictObject({ vm: vmRef, after: v.nullable(count) }),
    v.object({ revision: count, forwards: v.array(vmForward) }),
  ),
  /**
   * How ssh reaches the VM. With a command, the guest keeps it for the session of this name: the login name
   * is `banger-session` then, and `session` (hexadecimal digits) the command that ssh is given, once.
   */
  "vm.ssh": method(
    v.strictObject({ vm: vmRef, command: v.nullable(v.strictObject(command)) }),
    v.object({
      target: sshTarget,
      session: v.nullable(v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))),
    }),
  ),
  /**
   * Upgrades the connection: after the answer both sides speak `wire` frames (`wire/mux.ts`); the
   * client opens one stream whose OPEN frame is an AgentRequest `exec` that the daemon checks
   * against these parameters and relays.
   */
  "vm.exec": method(execParams, v.object({ upgraded: v.literal("banger-mux/1") })),
} as const;
