/**
 * Lines of aligned columns, the header first; the last column is not padded.
 *
 * Every row has as many cells as the header.
 *
 * @param align which columns are numbers and stand at the right
 */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  align: readonly ("left" | "right")[] = [],
): string {
  // Plain loops and few calls: a thousand rows are printed before anything here is optimised.
  const lines = [header, ...rows];
  const last = header.length - 1;
  const pads: string[] = [];
  for (let column = 0; column <= last; column++) {
    let width = 0;
    for (const line of lines) {
      const { length } = line[column]!;
      if (length > width) width = length;
    }
    pads.push(" ".repeat(width));
  }
  let text = "";
  for (const line of lines) {
    for (let column = 0; column <= last; column++) {
      const cell = line[column]!;
      const pad = pads[column]!;
      if (align[column] === "right") text += pad.slice(cell.length) + cell;
      else if (column === last) text += cell;
      else text += cell + pad.slice(cell.length);
      text += column < last ? "  " : "\n";
    }
  }
  return text;
}

/** Lines of names and values, aligned. */
export function fields(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(0, ...pairs.map(([name]) => name.length));
  return pairs.map(([name, text]) => `${`${name}:`.padEnd(width + 2)}${text}\n`).join("");
}
