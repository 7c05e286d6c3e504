import { spawnFailure } from "./run.ts";

/** A program that goes on when this process ends. */
export interface DetachedProgram {
  readonly pid: number;
  /** Resolves when it ends while this process still watches; `stderr` is the end of what it said. */
  readonly ended: Promise<{ readonly code: number; readonly stderr: string }>;
  /** Stops watching: it no longer keeps this process alive. */
  release(): void;
}

const stderrKeptChars = 64 * 1024;

/**
 * Starts `program` (an absolute path) in a session of its own, in the root directory, with exactly
 * the environment `env` and no input. What it writes to stderr is kept until it is released.
 *
 * @throws BangerError `precondition` when it is not installed
 */
export function startDetached(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): DetachedProgram {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args: [...args],
      cwd: "/",
      clearEnv: true,
      env: { ...env },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
      detached: true,
    }).spawn();
  } catch (cause) {
    throw spawnFailure(program, cause);
  }
  const reader = child.stderr.getReader();
  const ended = (async () => {
    const decoder = new TextDecoder();
    let stderr = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      stderr = (stderr + decoder.decode(part.value, { stream: true })).slice(-stderrKeptChars);
    }
    const { code } = await child.status;
    return { code, stderr };
  })();
  ended.catch(() => {});
  return {
    pid: child.pid,
    ended,
    release: () => {
      child.unref();
      reader.cancel().catch(() => {});
    },
  };
}
