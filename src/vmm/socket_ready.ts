import { exists } from "../files/exists.ts";
import { BangerError } from "../model/errors.ts";
import type { HostProcesses, ProcessExit, ProcessHandle } from "../process/host_processes.ts";

/** Which socket of which program to wait for. */
export interface AwaitedSocket {
  /** The program's name, for messages. */
  readonly name: string;
  readonly process: ProcessHandle;
  readonly path: string;
  readonly timeoutMs: number;
  /** What it means that the program ended instead. */
  readonly refusal: (exit: ProcessExit) => BangerError;
}

/**
 * Waits until a program's socket is there. A connection may be the only one that it takes, so this
 * looks and does not touch.
 *
 * @throws BangerError `timeout`, `cancelled`, or the program's refusal
 */
export async function untilSocket(
  processes: HostProcesses,
  awaited: AwaitedSocket,
  signal: AbortSignal,
): Promise<void> {
  const stop = new AbortController();
  const watching = AbortSignal.any([stop.signal, signal]);
  let exit: ProcessExit | undefined;
  const exiting = processes.exited(awaited.process, watching).then((it) => {
    exit = it;
  }, () => {});
  const deadline = performance.now() + awaited.timeoutMs;
  try {
    while (!(await exists(awaited.path))) {
      throwIfCancelled(awaited.name, signal);
      if (exit !== undefined) throw awaited.refusal(exit);
      if (performance.now() > deadline) {
        throw new BangerError(
          "timeout",
          `Cannot start ${awaited.name}: its socket does not appear`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  } finally {
    stop.abort();
    await exiting;
  }
}

/** @throws BangerError `cancelled` when `signal` has been aborted */
export function throwIfCancelled(name: string, signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw new BangerError("cancelled", `Stopped the start of ${name}: cancelled`, {
    cause: signal.reason,
  });
}
