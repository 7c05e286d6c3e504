import type { HostGit } from "./host_git.ts";

/** Name and address that the calling user's git gives to commits. */
export interface GitIdentity {
  readonly name: string;
  readonly email: string;
}

/**
 * Reads the calling user's identity from git's global and system configuration; `null` when it is
 * not set, or when git is not there or fails: nobody's VM shall fail for it.
 */
export async function readGitIdentity(
  git: HostGit,
  signal: AbortSignal,
): Promise<GitIdentity | null> {
  try {
    const { stdout } = await git.call(
      ["config", "--null", "--get-regexp", "^user\\.(name|email)$"],
      {
        cwd: "/",
        env: { GIT_CEILING_DIRECTORIES: "/" },
        signal,
        timeoutMs: 10_000,
        okCodes: [0, 1],
      },
    );
    const found = new Map<string, string>();
    for (const entry of new TextDecoder().decode(stdout).split("\0")) {
      const newline = entry.indexOf("\n");
      if (newline > 0) found.set(entry.slice(0, newline), entry.slice(newline + 1));
    }
    const name = found.get("user.name");
    const email = found.get("user.email");
    return name === undefined || email === undefined ? null : { name, email };
  } catch {
    return null;
  }
}
