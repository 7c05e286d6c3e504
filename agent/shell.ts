import { findProgram } from "./program.ts";
import type { User } from "./users.ts";

/** Programs in the place of a shell that let nobody in. */
const refusing = /^(nologin|false|true|sync|halt|shutdown)$/;

/**
 * The shell for a session of `user`: the one of the guest's /etc/passwd, else bash, else sh, wherever they
 * are along `path`. `undefined` when the guest has none.
 */
export function findShell(user: User, path: string, cwd: string): string | undefined {
  const own = refusing.test(user.shell.split("/").at(-1)!) ? [] : [user.shell];
  for (const name of [...own, "/bin/bash", "/bin/sh", "bash", "sh"]) {
    try {
      return findProgram(name, path, cwd);
    } catch {
      // The next one.
    }
  }
  return undefined;
}
