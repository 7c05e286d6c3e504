import { run } from "../process/run.ts";
import { namespaceFlags } from "./build_argv.ts";

/**
 * Makes a fresh private directory below `stagingDir`. It is on the file system of what is
 * published, so that publication is one rename.
 */
export async function makeStaging(stagingDir: string, prefix: string): Promise<string> {
  return await Deno.makeTempDir({ dir: stagingDir, prefix: `${prefix}-` });
}

/**
 * Removes a staging directory and everything in it, also what a build left that was killed in the
 * middle: files of an ordinary user's subordinate ids, which only root of the same sort of
 * namespace can remove. A directory that is not there is fine.
 */
export async function removeStaging(dir: string, uid: number): Promise<void> {
  try {
    await Deno.remove(dir, { recursive: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    if (uid === 0 || !(error instanceof Deno.errors.PermissionDenied)) throw error;
    await run("unshare", [...namespaceFlags(uid), "--", "rm", "-rf", "--", dir], {
      timeoutMs: 120_000,
    });
  }
}

/**
 * {@linkcode removeStaging} at the end of work whose outcome is known: what cannot be removed changes nothing
 * of that, and is removed at the next start of the daemon.
 */
export async function dropStaging(dir: string, uid: number): Promise<void> {
  await removeStaging(dir, uid).catch(() => {});
}

/**
 * Removes everything below `stagingDir`: called once when the daemon starts, before any work, so
 * whatever is there was left by a daemon that was killed. Answers how many entries were removed.
 */
export async function cleanStaging(stagingDir: string, uid: number): Promise<number> {
  let removed = 0;
  for await (const entry of readDirOrNothing(stagingDir)) {
    await removeStaging(`${stagingDir}/${entry.name}`, uid);
    removed++;
  }
  return removed;
}

async function* readDirOrNothing(dir: string): AsyncIterable<Deno.DirEntry> {
  try {
    yield* Deno.readDir(dir);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
