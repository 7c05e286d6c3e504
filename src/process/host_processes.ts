/**
 * Processes of the host that outlive the daemon: VMMs and their network programs.
 *
 * Consumer-declared seam: the services run with narrow permissions and cannot read `/proc` or send
 * signals, so the broker does it for them (see `docs/architecture.md`). A pid alone is never
 * trusted: it always comes with the start time that the kernel reports for it.
 */
export interface ProcessHandle {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat, in clock ticks since boot (proc(5)); tells a recycled pid. */
  readonly startTicks: number;
}

/** A file that the started program gets as an open descriptor instead of a path. */
export interface PassedFile {
  readonly path: string;
  readonly access: "read" | "read_write";
}

/** A long-lived program to start, detached from the daemon. */
export interface LaunchSpec {
  /** Resolved to an absolute path by the broker; `net_filter` is banger itself in another role. */
  readonly program: "qemu" | "passt" | "net_filter";
  readonly args: readonly string[];
  /**
   * Files opened with the daemon's rights and inherited as descriptors 3, 4, … 9 in this order, and an eighth
   * one as 0, so that a program that runs as another user needs no right to the path.
   */
  readonly files: readonly PassedFile[];
  /**
   * User and group to become before the program starts; `null` keeps the daemon's. `groups` are its only
   * supplementary groups, none when left out; only the broker sets them.
   */
  readonly dropTo: {
    readonly uid: number;
    readonly gid: number;
    readonly groups?: readonly number[];
  } | null;
  /** Where its stderr goes: a file in the VM's directory, at most a few KiB are kept. */
  readonly stderrPath: string;
}

/** How a launched program ended. `null` code and signal: it was adopted, only its absence is known. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** The end of its stderr. */
  readonly stderr: string;
}

/** What the broker does for the services. */
export interface HostProcesses {
  /**
   * Starts the program in a session of its own and answers once it has been exec'd.
   * @throws BangerError `precondition` when it is not installed, `internal` when it cannot start
   */
  launch(spec: LaunchSpec): Promise<ProcessHandle>;
  /** Whether that very process still runs (zombies do not). */
  alive(handle: ProcessHandle): Promise<boolean>;
  /** Sends `signal` to that very process; answers false when it no longer runs. */
  signal(handle: ProcessHandle, signal: "SIGTERM" | "SIGKILL"): Promise<boolean>;
  /** Resolves when it has ended: by wait(2) for own children, within 500 ms for adopted ones. */
  exited(handle: ProcessHandle, signal: AbortSignal): Promise<ProcessExit>;
}
