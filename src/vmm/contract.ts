/**
 * The seam between VM lifecycle and virtual machine monitors: one contract, one driver a folder,
 * one conformance suite.
 *
 * Must not import services, the store or the CLI; drivers start programs through `HostProcesses`.
 */
import type { VmId } from "../model/ids.ts";
import type { MemoryPaths } from "./memory_file.ts";
import type { ProcessExit, ProcessHandle } from "../process/host_processes.ts";

/** Software (`tcg`) or hardware (`kvm`) virtualisation. */
export type Accelerator = "kvm" | "tcg";

/** A virtio-blk disk. The guest finds it by `serial`, never by its position. */
export interface DiskSpec {
  /** At most 20 characters, such as `banger-root`. */
  readonly serial: "banger-root" | "banger-kit" | "banger-modules" | "banger-work";
  readonly path: string;
  readonly format: "raw" | "qcow2";
  readonly readOnly: boolean;
  /** The raw file below a qcow2 overlay, opened read-only. */
  readonly backingPath: string | null;
}

/** Everything a driver needs to start a VM. Paths are absolute and made by banger. */
export interface MachineSpec {
  readonly vmId: VmId;
  readonly cpus: number;
  readonly memoryMib: number;
  /** Uncompressed ELF. */
  readonly kernelPath: string;
  readonly initrdPath: string | null;
  /** Added to the driver's own kernel command line. */
  readonly commandLine: readonly string[];
  readonly disks: readonly DiskSpec[];
  /** passt's Unix socket and the guest's MAC; `null` starts without a network. */
  readonly network: { readonly socketPath: string; readonly mac: string } | null;
  /** Per-VM directory for sockets (short path, writable by `dropTo`). */
  readonly runDir: string;
  /** Per-VM directory for the console ring and stderr, private to the daemon. */
  readonly stateDir: string;
  /** Where the file may be that backs the guest's memory; made by the driver, removed at the end. */
  readonly memoryPaths: MemoryPaths;
  readonly accelerator: Accelerator;
  readonly dropTo: { readonly uid: number; readonly gid: number } | null;
  /**
   * True for a VM that is deleted when it ends: what its guest flushes reaches the host's page cache
   * but is not forced to the host's disk. False when left out.
   */
  readonly disposable?: boolean;
  /**
   * Frequency of the host's time stamp counter (`process/tsc_frequency.ts`): without it a kernel under
   * software emulation hangs at boot when the host is busy. Unknown when left out or `null`.
   */
  readonly hostTscKhz?: number | null;
  /** Told as soon as there is a process, before it is waited for; also when the start fails later. */
  readonly onProcess?: (handle: VmmHandle) => void;
}

/** What must be remembered to adopt a running VM after a restart of the daemon. */
export interface VmmHandle {
  readonly process: ProcessHandle;
  readonly runDir: string;
  readonly stateDir: string;
  /** Removed when the VM has ended. */
  readonly memoryPath: string;
}

/** A bidirectional stream of bytes to the guest agent. Matches `wire`'s ByteLink. */
export interface GuestLink {
  /** Bytes read into `into`; `null` at the end. */
  read(into: Uint8Array): Promise<number | null>;
  /** Writes all of `bytes`. */
  write(bytes: Uint8Array): Promise<void>;
  close(): void;
}

/** The host's end of a lane (`wire/lane.ts`). */
export interface LaneLink extends GuestLink {
  /** Ends the direction to the guest, which reads its end after all that was written. */
  closeWrite(): Promise<void>;
}

/** Whether the machine executes. */
export type MachineState = "running" | "paused" | "ended";

/** A machine that was launched or adopted. All methods may be called at any time; none throws because the machine has ended, unless it says so. */
export interface Machine {
  readonly handle: VmmHandle;
  /** Resolves once, within 2 s of the VMM's end, however it ended. Rejects after `release`. */
  readonly ended: Promise<ProcessExit>;
  state(): Promise<MachineState>;
  /** Opens the link to the agent; one at a time. @throws BangerError `unavailable` when the VMM has ended */
  openAgentLink(signal: AbortSignal): Promise<GuestLink>;
  /**
   * Opens the lane with this number; one at a time. Closing it throws away what is under way.
   * @throws BangerError `unavailable` when the VM has no such lane, or has ended
   */
  openLane(lane: number): Promise<LaneLink>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Ends the VMM: QMP quit (or the API's), SIGTERM, SIGKILL, each with a bounded wait. Resolves when it is gone. */
  kill(): Promise<void>;
  /** The console's last bytes, at most `maxBytes`. */
  readConsole(maxBytes: number): Promise<Uint8Array>;
  /** Stops watching without touching the VM (the daemon goes away, the VM stays). */
  release(): void;
}

/** How a VM is taken over. */
export interface AdoptOptions {
  /** The caller has just seen its process, so that nobody looks again: if it has ended since, the machine says so. */
  readonly isSeen?: boolean;
  /** When its console is read again, at once when left out. What the guest prints until then is lost. */
  readonly consoleFrom?: Promise<void>;
}

/** A driver. */
export interface Vmm {
  readonly kind: "qemu" | "firecracker";
  /**
   * Starts the VM; answers when the VMM accepted the machine (not when the guest is ready).
   * Undoes everything when it fails or `signal` aborts.
   * @throws BangerError `precondition` (program missing, kernel not usable), `internal` (the VMM
   * refused; `detail` holds the end of its stderr), `cancelled`
   */
  launch(spec: MachineSpec, signal: AbortSignal): Promise<Machine>;
  /**
   * Removes sockets and memory that a start left which was cut off before its process was known. Nothing of the
   * VM runs.
   */
  clear(places: Pick<MachineSpec, "runDir" | "memoryPaths">): Promise<void>;
  /** Takes over a running VM, or answers the machine that has it already; `null` when it no longer runs. */
  adopt(handle: VmmHandle, options?: AdoptOptions): Promise<Machine | null>;
}
