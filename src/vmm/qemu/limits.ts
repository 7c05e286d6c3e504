import type { EndLimits } from "../end_process.ts";

/** Bounds on everything that the QEMU driver waits for, in milliseconds. */
export interface QemuLimits extends EndLimits {
  /** From the start of the process until its sockets listen. */
  readonly connectTimeoutMs: number;
  /** Until QEMU answers on QMP (the first answer waits for its initialisation). */
  readonly commandTimeoutMs: number;
  /** How long the console's last bytes are waited for when the VM has ended. */
  readonly consoleDrainMs: number;
}

/** The bounds that apply outside tests. */
export const defaultLimits: QemuLimits = {
  connectTimeoutMs: 10_000,
  commandTimeoutMs: 10_000,
  quitMs: 1_000,
  terminateMs: 2_000,
  killMs: 5_000,
  consoleDrainMs: 1_500,
};
