import type { CliContext } from "./context.ts";
import type { Globals } from "./parse_argv.ts";
import type { Streams } from "./standard_streams.ts";
import { ownSignals } from "./termination_signals.ts";

/** What commands may touch, on this host. */
export function hostContext(
  streams: Streams,
  globals: Globals,
  env: () => Readonly<Record<string, string>>,
): CliContext {
  const signals = ownSignals();
  return {
    ...streams,
    ...globals,
    get env() {
      return env();
    },
    get cwd() {
      return Deno.cwd();
    },
    nowMs: () => performance.now(),
    wallClockMs: () => Date.now(),
    connect: async (options) => {
      const { connectDaemon } = await import("./connect_daemon.ts");
      return await connectDaemon(env, options, (text) => {
        if (!globals.quiet) streams.err.write(`note: ${text}\n`);
      });
    },
    onSignals: (handler) => signals.on(handler),
  };
}
