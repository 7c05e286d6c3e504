import { type ExecRequest, sessionsDir } from "../src/wire/messages.ts";
import { sessionFile } from "../src/wire/session_file.ts";
import type { AgentContext } from "./context.ts";
import { imageIsReady } from "./image_ready.ts";
import { makeDirectory } from "./files.ts";
import { resolveExec } from "./resolve_exec.ts";

/** A session whose ssh connection never came is forgotten after so long. */
const keptMs = 120_000;

/**
 * Keeps a command for the ssh connection that asks for it by `id`: the kit's `session` runs it, once. What
 * it runs, where, as whom and with which environment is data in a file that only root can read; no shell
 * and no arguments of a program are in between.
 *
 * @throws Failure when the command cannot be run
 */
export async function openSession(
  context: AgentContext,
  id: string,
  request: ExecRequest,
): Promise<void> {
  // A shell shows by itself that something is still being started.
  if (request.argv.length > 0) await imageIsReady(context);
  const dir = `${context.root}${sessionsDir}`;
  makeDirectory(dir, 0o700);
  forgetOld(dir);
  const { user, ...command } = resolveExec(context, request);
  const file = sessionFile({ ...user, ...command });
  await Deno.writeFile(`${dir}/${id}`, file, { mode: 0o600 });
}

function forgetOld(dir: string): void {
  for (const { name } of Deno.readDirSync(dir)) {
    try {
      const { mtime } = Deno.statSync(`${dir}/${name}`);
      if (Date.now() - (mtime?.getTime() ?? 0) > keptMs) Deno.removeSync(`${dir}/${name}`);
    } catch {
      // It was taken meanwhile.
    }
  }
}
