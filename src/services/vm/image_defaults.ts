import type { ImageRun } from "../../model/artefacts.ts";
import type { ExecRequest } from "../../wire/messages.ts";

/**
 * A command as the image wants it run: its variables, its working directory and its user, where the caller
 * says nothing else. A command with a directory of its own, such as the copied repository, runs as
 * root unless told otherwise: that directory is root's.
 */
export function withImageDefaults(exec: ExecRequest, run: ImageRun | null): ExecRequest {
  if (run === null) return exec;
  const user = exec.user ?? (exec.cwd === null && run.user !== "" ? run.user : null);
  const cwd = exec.cwd ?? (run.workingDir === "" ? null : run.workingDir);
  return { ...exec, user, cwd, env: { ...variables(run.env), ...exec.env } };
}

/** Of two with the same name the last one counts, as with execve(2)'s callers. */
function variables(env: readonly string[]): Record<string, string> {
  return Object.fromEntries(env.map((entry) => {
    const at = entry.indexOf("=");
    return [entry.slice(0, at), entry.slice(at + 1)];
  }));
}
