/**
 * The command line: parses words, asks the daemon, shows what it answers.
 *
 * Owns: commands, their help, exit codes and words of errors. Knows the daemon only through its
 * contracts. Must not import services, the store, VMM drivers or anything that is slow to load:
 * commands load when they are named, so that a plain call costs hardly more than starting.
 */
import { rootHelpText } from "./root_help_text.ts";
import { standardStreams } from "./standard_streams.ts";

/** Runs the command that `argv` names and resolves to the exit code. Never rejects. */
export async function runCli(argv: readonly string[]): Promise<number> {
  const env = () => Deno.env.toObject();
  const streams = standardStreams((name) => Deno.env.get(name));
  if (argv.length === 0 || (argv.length === 1 && (argv[0] === "--help" || argv[0] === "-h"))) {
    try {
      streams.out.write(rootHelpText);
      return 0;
    } catch {
      // The reader has gone (128 + SIGPIPE).
      return 141;
    }
  }
  const [{ runCommand }, { hostContext }] = await Promise.all([
    import("./run_command.ts"),
    import("./host_context.ts"),
  ]);
  return await runCommand(argv, streams, (given, globals) => hostContext(given, globals, env));
}
