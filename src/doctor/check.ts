/**
 * What this host has and lacks for running VMs: one check a prerequisite, each with what is so, what
 * it is needed for and the command that mends it.
 *
 * Reads only; starts programs only to ask for their version. Must not import the client, services
 * or the CLI: what the daemon knows is handed in.
 */

/** How a check came out. `fail`: no VM can run until it is mended. */
export type CheckStatus = "ok" | "warn" | "fail";

/** The outcome of one check. */
export interface CheckResult {
  /** Stable, such as `qemu`. */
  readonly id: string;
  readonly status: CheckStatus;
  /** What is so, in one line. */
  readonly found: string;
  /** What it is needed for. */
  readonly neededFor: string;
  /** A command, or a step, that mends it; `null` when nothing is to be done. */
  readonly fix: string | null;
}

/** Everything that {@linkcode examineHost} found. */
export interface HostReport {
  readonly checks: readonly CheckResult[];
  /** Whether a VM can run. */
  readonly ready: boolean;
  /** What this host can do. */
  readonly modes: { readonly rootless: boolean; readonly system: false };
}
