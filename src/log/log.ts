/**
 * The daemon's log: logtape's loggers over sinks of our own.
 *
 * Owns: the form of a line, where lines go (journald, a terminal, a rotating file) and what must
 * never be in them. Must not import anything but `model`. Leaves log through {@linkcode Logger}.
 */
import {
  configureSync,
  getLogger,
  type Logger as TapeLogger,
  type LogLevel,
  type LogRecord,
  resetSync,
} from "@logtape/logtape";
import { formatRecord } from "./format_record.ts";

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

/** Sends the lines of all parts, from `lowest` up, to `sink`. Replaces an earlier configuration. */
export function configureLog(sink: LineSink, lowest: LogLevel = "info"): void {
  configureSync({
    reset: true,
    sinks: { own: (record: LogRecord) => sink(formatRecord(record), record.level) },
    loggers: [
      { category: ["banger"], lowestLevel: lowest, sinks: ["own"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["own"] },
    ],
  });
}

/** Forgets the configuration: nothing is logged any more. */
export function closeLog(): void {
  resetSync();
}

/** The log of `part`, such as `vm` or `daemon`. */
export function logOf(part: string): Logger {
  const logger: TapeLogger = getLogger(["banger", part]);
  return {
    debug: (text, fields) => logger.debug(text, { ...fields }),
    info: (text, fields) => logger.info(text, { ...fields }),
    warn: (text, fields) => logger.warn(text, { ...fields }),
    error: (text, fields) => logger.error(text, { ...fields }),
  };
}
