/** Control characters but newline and tab, and characters that reorder or hide text. */
const unprintable =
  // deno-lint-ignore no-control-regex -- control characters are what this is about
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * Text from outside made safe for a terminal: control characters (C0 but newline and tab, DEL, C1)
 * and characters that reorder or hide text are shown as `\x1b`, `\u202e`. Unchanged off a terminal.
 */
export function printable(text: string, onTerminal: boolean): string {
  if (!onTerminal) return text;
  return text.replace(unprintable, escape);
}

/** Like {@linkcode printable} for text that is one line: newlines and tabs are escaped as well. */
export function printableLine(text: string, onTerminal: boolean): string {
  const shown = printable(text, onTerminal);
  return onTerminal ? shown.replace(/[\n\t]/g, escape) : shown;
}

function escape(character: string): string {
  const code = character.codePointAt(0)!;
  return code < 256
    ? `\\x${code.toString(16).padStart(2, "0")}`
    : `\\u${code.toString(16).padStart(4, "0")}`;
}
