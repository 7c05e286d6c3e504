/**
 * The daemon's log, line by line.
 *
 * Owns: the form of a line, where lines go (journald, a terminal, a rotating file) and what must
 * never be in them. Must not import anything but `model`. Leaves log through {@linkcode Logger}.
 */
import { formatRecord } from "./format_record.ts";

/** From the least to the most severe. */
export const logLevels = ["debug", "info", "warning", "error"] as const;

/** One of {@linkcode logLevels}. */
export type LogLevel = typeof logLevels[number];

/** Where a finished line goes; must not throw. `level` helps sinks that have priorities. */
export type LineSink = (line: string, level: LogLevel) => void;

/** Fields of a line; values of fields named like secrets are replaced (see `redact.ts`). */
export type LogFields = Readonly<Record<string, unknown>>;

/** A log of one part. Text is constant, what varies goes into the fields. */
export interface Logger {
  debug(text: string, fields?: LogFields): void;
  info(text: string, fields?: LogFields): void;
  warn(text: string, fields?: LogFields): void;
  error(text: string, fields?: LogFields): void;
}

/** Of the whole thread; `undefined`: nothing is logged. */
let target: { readonly sink: LineSink; readonly lowest: LogLevel } | undefined;

/** Sends the lines of all parts, from `lowest` up, to `sink`. Replaces an earlier configuration. */
export function configureLog(sink: LineSink, lowest: LogLevel = "info"): void {
  target = { sink, lowest };
}

/** Forgets the configuration: nothing is logged any more. */
export function closeLog(): void {
  target = undefined;
}

/** The log of `part`, such as `vm` or `daemon`. */
export function logOf(part: string): Logger {
  const log = (level: LogLevel) => (text: string, fields: LogFields = {}) => {
    if (target === undefined || logLevels.indexOf(level) < logLevels.indexOf(target.lowest)) return;
    target.sink(formatRecord({ timeMs: Date.now(), level, part, text, fields }), level);
  };
  return { debug: log("debug"), info: log("info"), warn: log("warning"), error: log("error") };
}
