import { BangerError } from "../model/errors.ts";
import type { LaunchSpec } from "./host_processes.ts";

/** Most files that can be passed: a POSIX shell knows the descriptors 3 to 9; the eighth is standard input. */
export const maxPassedFiles = 8;

/** Paths of the programs that a launch goes through. */
export interface LaunchTools {
  readonly shell: string;
  /** setpriv(1) of util-linux; `null` where the host has none. */
  readonly setpriv: string | null;
}

/**
 * The argv that starts `program` as `spec` says: a shell opens the passed files, `setpriv` drops the
 * rights, and the program takes over the same process. The shell's text depends only on how many files there
 * are and how they are opened; every path is a positional parameter. The file at `stdinPath` becomes
 * its standard input, which then is no place for an eighth file.
 *
 * @throws BangerError `internal` for more than {@linkcode maxPassedFiles} files, `precondition`
 * when rights must be dropped and there is no setpriv
 */
export function launchCommand(
  spec: LaunchSpec,
  program: string,
  tools: LaunchTools,
  stdinPath: string | null = null,
): readonly string[] {
  const most = stdinPath === null ? maxPassedFiles : maxPassedFiles - 1;
  if (spec.files.length > most) {
    throw new BangerError(
      "internal",
      `Cannot start "${spec.program}": ${spec.files.length} files to pass, at most ${most}`,
    );
  }
  return [
    tools.shell,
    "-c",
    launchScript(spec.files.map((file) => file.access), stdinPath !== null),
    "banger-launch",
    spec.stderrPath,
    ...spec.files.map((file) => file.path),
    ...(stdinPath === null ? [] : [stdinPath]),
    ...dropRights(spec, tools),
    program,
    ...spec.args,
  ];
}

/** The descriptor as which the file at `index` of a launch is passed. */
export function passedDescriptor(index: number): number {
  return index === maxPassedFiles - 1 ? 0 : index + 3;
}

/**
 * The shell's text: `$1` takes stderr, the following parameters are opened as {@linkcode passedDescriptor}
 * says, and one more as standard input.
 */
export function launchScript(
  accesses: readonly ("read" | "read_write")[],
  hasStdin = false,
): string {
  const files = accesses.map((access, index) => ({
    operator: access === "read" ? "<" : "<>",
    descriptor: passedDescriptor(index),
    parameter: `"$${index + 2}"`,
  }));
  if (hasStdin) {
    files.push({ operator: "<", descriptor: 0, parameter: `"$${accesses.length + 2}"` });
  }
  return [
    "umask 077",
    'exec 2>>"$1"',
    // `<>` would make a missing file.
    ...files.map(({ parameter }) =>
      `[ -e ${parameter} ] || { echo ${parameter}: no such file >&2; exit 126; }`
    ),
    ...files.map(({ descriptor, operator, parameter }) =>
      `exec ${descriptor}${operator}${parameter}`
    ),
    `shift ${files.length + 1}`,
    'exec "$@"',
  ].join("\n");
}

function dropRights(spec: LaunchSpec, tools: LaunchTools): readonly string[] {
  if (spec.dropTo === null) {
    return tools.setpriv === null ? [] : [tools.setpriv, "--no-new-privs", "--"];
  }
  if (tools.setpriv === null) {
    throw new BangerError(
      "precondition",
      `Cannot start "${spec.program}": setpriv is not installed, and rights must be dropped`,
      { hint: "apt-get install util-linux" },
    );
  }
  const { groups = [] } = spec.dropTo;
  return [
    tools.setpriv,
    `--reuid=${spec.dropTo.uid}`,
    `--regid=${spec.dropTo.gid}`,
    groups.length === 0 ? "--clear-groups" : `--groups=${groups.join(",")}`,
    "--no-new-privs",
    "--ambient-caps=-all",
    "--inh-caps=-all",
    "--bounding-set=-all",
    "--",
  ];
}
