import type { LineSink, LogLevel } from "./log.ts";

/** Priorities that journald reads from the start of a line (sd-daemon(3)). */
const priorities: Readonly<Record<LogLevel, number>> = {
  debug: 7,
  info: 6,
  warning: 4,
  error: 3,
};

/** A sink on standard error; with `<N>` priorities for journald. */
export function stderrSink(journald: boolean): LineSink {
  const encoder = new TextEncoder();
  return (line, level) => {
    const text = journald ? `<${priorities[level]}>${line}\n` : `${line}\n`;
    try {
      Deno.stderr.writeSync(encoder.encode(text));
    } catch {
      // Whoever read it is gone.
    }
  };
}
