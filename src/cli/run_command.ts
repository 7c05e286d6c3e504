import type { CliContext, OutputClosed } from "./context.ts";
import { exitCodeOf, exitCodes } from "./exit_code.ts";
import { findCommand, type Found } from "./find_command.ts";
import { type Globals, parseArgv } from "./parse_argv.ts";
import type { Streams } from "./standard_streams.ts";

/** Runs the command that `argv` names, in surroundings that are handed in. Never rejects. */
export async function runCommand(
  argv: readonly string[],
  streams: Streams,
  makeContext: (streams: Streams, globals: Globals) => CliContext,
): Promise<number> {
  // Known before the words are parsed, since the parser's own errors are printed too.
  const verbose = hasVerbose(argv);
  let passedThrough = false;
  try {
    const found = await findCommand(argv);
    if (found.kind !== "command") return await answer(found, streams);
    const command = await found.leaf.load();
    passedThrough = command.exitCodes === "passed_through";
    const parsed = parseArgv(found.path, command, found.words);
    if (parsed.kind === "help") {
      const { commandHelp } = await import("./help.ts");
      streams.out.write(commandHelp(found.path, found.leaf.summary, command));
      return exitCodes.ok;
    }
    return await command.run(makeContext(streams, parsed.globals), parsed.given);
  } catch (error) {
    return await report(error, streams, verbose, passedThrough);
  }
}

async function answer(
  found: Exclude<Found, { readonly kind: "command" }>,
  streams: Streams,
): Promise<number> {
  if (found.kind === "version") {
    const { versionLine } = await import("./version_line.ts");
    streams.out.write(versionLine());
    return exitCodes.ok;
  }
  const { groupHelp, rootHelp } = await import("./help.ts");
  const { commandTree } = await import("./command_tree.ts");
  streams.out.write(
    found.kind === "root_help" ? rootHelp(commandTree) : groupHelp(found.name, found.group),
  );
  return exitCodes.ok;
}

async function report(
  error: unknown,
  streams: Streams,
  verbose: boolean,
  passedThrough: boolean,
): Promise<number> {
  if (isOutputClosed(error)) return exitCodes.outputClosed;
  const { BangerError } = await import("../model/errors.ts");
  const { printError } = await import("./print_error.ts");
  try {
    printError(streams.err, error, verbose);
  } catch (second) {
    // Nobody reads stderr either; the exit code still tells.
    if (!isOutputClosed(second)) throw second;
  }
  const kind = error instanceof BangerError ? error.kind : "internal";
  const code = exitCodeOf(kind);
  return passedThrough && kind !== "cancelled" ? exitCodes.banger : code;
}

/** By the name: as soon as two of the program's files need the class, it is in a third, 0.2 ms of every call. */
function isOutputClosed(error: unknown): boolean {
  return error instanceof Error && error.name === ("OutputClosed" satisfies OutputClosed["name"]);
}

function hasVerbose(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  const own = end < 0 ? argv : argv.slice(0, end);
  return own.includes("--verbose") || own.includes("-v");
}
