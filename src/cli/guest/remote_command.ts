import { shellWord } from "../../guest/ssh_args.ts";

/**
 * The POSIX shell script that lands in `cwd` (the home directory when `null` or not there) and
 * run `argv` with `env` added, or a login shell when `argv` is empty.
 */
export function remoteCommand(
  argv: readonly string[],
  cwd: string | null,
  env: Readonly<Record<string, string>>,
): string {
  const parts: string[] = [];
  if (cwd !== null) parts.push(`cd ${shellWord(cwd)} 2>/dev/null;`);
  const assignments = Object.entries(env).map(([name, text]) => shellWord(`${name}=${text}`));
  const program = argv.length > 0 ? argv.map(shellWord).join(" ") : '"${SHELL:-/bin/sh}" -l';
  if (assignments.length > 0) parts.push(`exec env ${assignments.join(" ")} ${program}`);
  else parts.push(`exec ${program}`);
  return parts.join(" ");
}
