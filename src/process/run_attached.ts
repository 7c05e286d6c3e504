import { spawnFailure } from "./run.ts";

/** How a program ended that had the terminal. */
export interface AttachedEnd {
  readonly code: number;
  /** Signal that ended it; `null` when it exited by itself. */
  readonly signal: string | null;
}

/**
 * Runs a program on this process's own standard streams, such as an interactive `ssh`, in this
 * process's environment (it needs TERM and the user's locale) and process group, so that the
 * terminal's signals reach it directly.
 *
 * @param onStart gets a function that sends the program a signal
 * @throws BangerError `precondition` when it is not installed
 */
export async function runAttached(
  program: string,
  args: readonly string[],
  onStart: (signal: (name: Deno.Signal) => void) => void,
): Promise<AttachedEnd> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args: [...args],
      stdin: "inherit",
      stdout: "inherit",
      stderr: "inherit",
    }).spawn();
  } catch (cause) {
    throw spawnFailure(program, cause);
  }
  onStart((name) => {
    try {
      child.kill(name);
    } catch {
      // It has ended already.
    }
  });
  const { code, signal } = await child.status;
  return { code, signal };
}
