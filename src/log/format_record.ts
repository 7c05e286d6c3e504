import type { LogFields, LogLevel } from "./log.ts";
import { redact } from "./redact.ts";

const maxLineChars = 8 * 1024;

/** What one line is made of. */
export interface LogRecord {
  /** Milliseconds since the epoch. */
  readonly timeMs: number;
  readonly level: LogLevel;
  readonly part: string;
  readonly text: string;
  readonly fields: LogFields;
}

/**
 * One line, without its end: time in UTC, level, part, text, fields as JSON. Control characters are
 * escaped, so that nothing from outside makes lines of its own or moves a terminal's cursor.
 */
export function formatRecord({ timeMs, level, part, text, fields }: LogRecord): string {
  const head = `${new Date(timeMs).toISOString()} ${level.padEnd(7)} ${part}: ${redact(text)}`;
  const line = Object.keys(fields).length === 0
    ? head
    : `${head} ${JSON.stringify(redact(fields))}`;
  const cut = line.length <= maxLineChars ? line : `${line.slice(0, maxLineChars - 1)}…`;
  return escapeControls(cut);
}

function escapeControls(text: string): string {
  return text.replaceAll(
    // deno-lint-ignore no-control-regex
    /[\x00-\x1f\x7f-\x9f]/g,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}
