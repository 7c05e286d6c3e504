import type { LogRecord } from "@logtape/logtape";
import { redact } from "./redact.ts";

const maxLineChars = 8 * 1024;

/**
 * One line, without its end: time in UTC, level, part, text, fields as JSON. Control characters are
 * escaped, so that nothing from outside makes lines of its own or moves a terminal's cursor.
 */
export function formatRecord(record: LogRecord): string {
  const time = new Date(record.timestamp).toISOString();
  const part = record.category.slice(1).join(".") || record.category.join(".");
  const words = redact(record.message.map(String).join("")) as string;
  const head = `${time} ${record.level.padEnd(7)} ${part}: ${words}`;
  const line = Object.keys(record.properties).length === 0
    ? head
    : `${head} ${JSON.stringify(redact(record.properties))}`;
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
