import type { CliContext, TerminationSignal } from "./context.ts";
import type { Globals } from "./parse_argv.ts";
import type { Streams } from "./standard_streams.ts";

const signals: readonly TerminationSignal[] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];

/** What commands may touch, on this host. */
export function hostContext(
  streams: Streams,
  globals: Globals,
  env: () => Readonly<Record<string, string>>,
): CliContext {
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
    onSignals: (handler) => {
      const undo = signals.map((signal) => {
        const listener = () => handler(signal);
        Deno.addSignalListener(signal, listener);
        return () => Deno.removeSignalListener(signal, listener);
      });
      return () => undo.forEach((one) => one());
    },
  };
}
