/**
 * How things look on a terminal: colours, tables, sizes, ages, stages, escaped text.
 *
 * Pure text in, text out, but `stage_view.ts`, which draws. Must not import commands or the client.
 */

/** Wraps text in a colour. */
export type Paint = (text: string) => string;

/** The colours that banger uses (ECMA-48 SGR); plain text when `enabled` is false. */
export function colours(enabled: boolean) {
  const paint = (code: number): Paint => (text) =>
    enabled && text !== "" ? `\x1b[${code}m${text}\x1b[0m` : text;
  return {
    red: paint(31),
    green: paint(32),
    yellow: paint(33),
    cyan: paint(36),
    bold: paint(1),
    dim: paint(2),
  };
}
