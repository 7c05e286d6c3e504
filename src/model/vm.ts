import type { VmId } from "./ids.ts";
import type { Labels } from "./labels.ts";
import type { PublishedPort } from "./published_port.ts";

/**
 * States of a VM. Only the VM service changes them. `failed`: its guest broke while it started, or a reset could not be
 * finished; one that the host could not start stays what it was.
 */
export const vmStates = [
  "created",
  "starting",
  "running",
  "stopping",
  "stopped",
  "failed",
  "resetting",
  "deleting",
] as const;

/** One of {@linkcode vmStates}. */
export type VmState = typeof vmStates[number];

/** In these states no VMM has the VM's disk open. */
export const restingStates: readonly VmState[] = ["created", "stopped", "failed"];

/** In these states there is a VMM, or may be one. */
export const activeStates: readonly VmState[] = ["starting", "running", "stopping"];

/** Bounds of what a user may ask for; the CLI's help names them. */
export const vmLimits = {
  cpus: { lowest: 1, highest: 64 },
  memoryMib: { lowest: 256, highest: 1024 * 1024 },
  diskBytes: { lowest: 64 * 1024 ** 2, highest: 16 * 1024 ** 4 },
  /** A file of the host's own: its file system must take one so large, which ext4 does not at 16 TiB. */
  workDiskBytes: { lowest: 64 * 1024 ** 2, highest: 8 * 1024 ** 4 },
} as const;

/** What a user asks for when creating a VM, with every default filled in. */
export interface VmConfig {
  readonly name: string;
  readonly image: string;
  readonly kernel: string;
  readonly cpus: number;
  readonly memoryMib: number;
  /** Size of the system disk in bytes; never below the image's. */
  readonly diskBytes: number;
  /** Size of the work disk in bytes; 0: it has none. */
  readonly workDiskBytes: number;
}

/** A VM as the store holds it. Times are milliseconds since the epoch. */
export interface VmRecord {
  readonly id: VmId;
  readonly config: VmConfig;
  readonly state: VmState;
  /** Why its last start or run did not end as it should, whatever state it is in now; `null` when it did. */
  readonly failure: string | null;
  /** Deleted as soon as its client goes away or the daemon starts again. */
  readonly ephemeral: boolean;
  readonly createdAtMs: number;
  readonly startedAtMs: number | null;
  /** Facts of the present or last start. */
  readonly runtime: VmRuntime | null;
  /** Directory name of the workspace below the home of whom it belongs to; `null` without one. */
  readonly workspace: string | null;
  /** Whether variables, directory and user of the image apply, and the workspace is that user's. */
  readonly imageDefaults: boolean;
  readonly imageDigest: string;
  readonly kernelDigest: string;
  /** The user's own marks; `labels.ts` says what they may be. */
  readonly labels: Labels;
  /** After how long without use it is stopped, in milliseconds; 0: never, `null`: as configured. */
  readonly autoStopMs: number | null;
  /** What is run in it without a command, in place of a shell or what the image says; `null`: those. */
  readonly command: readonly string[] | null;
  /** By host port. Open while it runs. */
  readonly published: readonly PublishedPort[];
  /** Whether what listens in it is forwarded from the host's loopback by itself. */
  readonly autoPorts: boolean;
}

/** Facts of one start of a VM. */
export interface VmRuntime {
  readonly vmm: "qemu" | "firecracker";
  readonly accelerator: "kvm" | "tcg";
  /** Port on 127.0.0.1 that leads to the guest's ssh server; `null` without a network. */
  readonly sshPort: number | null;
  /** From the start request until the agent answered, in milliseconds. */
  readonly readyAfterMs: number;
}
