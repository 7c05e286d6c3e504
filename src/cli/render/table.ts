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
  const last = header.length - 1;
  const widths = header.map(({ length }) => length);
  for (const row of rows) {
    for (let column = 0; column <= last; column++) {
      const { length } = row[column]!;
      if (length > widths[column]!) widths[column] = length;
    }
  }
  // One small function for each row: it is compiled while a long table is being made.
  const line = (row: readonly string[]) => {
    let text = "";
    for (let column = 0; column <= last; column++) {
      const cell = row[column]!;
      const width = widths[column]!;
      if (align[column] === "right") text += cell.padStart(width);
      else text += column < last ? cell.padEnd(width) : cell;
      text += column < last ? "  " : "\n";
    }
    return text;
  };
  let text = line(header);
  for (const row of rows) text += line(row);
  return text;
}

/** Lines of names and values, aligned. */
export function fields(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(0, ...pairs.map(([name]) => name.length));
  return pairs.map(([name, text]) => `${`${name}:`.padEnd(width + 2)}${text}\n`).join("");
}
