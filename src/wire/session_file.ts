/** A command of an ssh session, in the guest's own terms. */
export interface SessionCommand {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** Exists. */
  readonly cwd: string;
  readonly argv: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * The file of a session, as the kit's `session` reads it: `UID GID GROUPS` as a line, then strings with a NUL
 * behind each: the directory, how many words the command has, these words, and the environment as `NAME=VALUE`.
 */
export function sessionFile({ uid, gid, groups, cwd, argv, env }: SessionCommand): Uint8Array {
  const all = [...new Set([gid, ...groups])];
  const entries = Object.entries(env).map(([name, text]) => `${name}=${text}`);
  const strings = [cwd, String(argv.length), ...argv, ...entries].map((text) => `${text}\0`);
  return new TextEncoder().encode(`${uid} ${gid} ${all.join(",")}\n${strings.join("")}`);
}
