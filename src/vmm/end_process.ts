import { BangerError } from "../model/errors.ts";
import type { HostProcesses, ProcessHandle } from "../process/host_processes.ts";

/** How long each step may take, in milliseconds. */
export interface EndLimits {
  /** After the polite request, until SIGTERM. */
  readonly quitMs: number;
  /** After SIGTERM, until SIGKILL. */
  readonly terminateMs: number;
  /** After SIGKILL, until the process counts as stuck. */
  readonly killMs: number;
}

/**
 * Ends a process: asks it with `quit`, then SIGTERM, then SIGKILL, each with a bounded wait. Answers
 * when it is gone.
 *
 * @throws BangerError `internal` when it outlives SIGKILL (it hangs in the kernel)
 */
export async function endProcess(
  processes: HostProcesses,
  handle: ProcessHandle,
  limits: EndLimits,
  quit: (() => Promise<void>) | null,
): Promise<void> {
  if (quit !== null) {
    const asked = quit().catch(() => {});
    if (await goneWithin(processes, handle, limits.quitMs, asked)) return;
  }
  for (
    const [signal, waitMs] of [
      ["SIGTERM", limits.terminateMs],
      ["SIGKILL", limits.killMs],
    ] as const
  ) {
    if (!(await processes.signal(handle, signal))) return;
    if (await goneWithin(processes, handle, waitMs)) return;
  }
  throw new BangerError("internal", `Cannot end process ${handle.pid}: it ignores SIGKILL`, {
    hint: "It hangs in the kernel; see /proc/PID/stack and the kernel's log",
  });
}

async function goneWithin(
  processes: HostProcesses,
  handle: ProcessHandle,
  limitMs: number,
  asked: Promise<void> = Promise.resolve(),
): Promise<boolean> {
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(), limitMs);
  try {
    const gone = processes.exited(handle, giveUp.signal).then(() => true, () => false);
    const [result] = await Promise.all([gone, Promise.race([asked, gone])]);
    return result;
  } finally {
    clearTimeout(timer);
  }
}
