/** A place in a text, both counted from 1. */
export interface TextPlace {
  readonly line: number;
  readonly column: number;
}

/**
 * Where `key` (`table.key`, or a table's name) is written in valid TOML `text`; the table's place
 * when the key itself is in an inline table, the beginning when even that cannot be told.
 */
export function locateKey(text: string, key: string): TextPlace {
  const dot = key.lastIndexOf(".");
  let table = "";
  let fallback: TextPlace | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    const header = /^\s*\[+\s*([^\]]+?)\s*\]+/.exec(line);
    if (header?.[1] !== undefined) {
      table = bare(header[1]);
      if (isWithin(key, table)) fallback = { line: index + 1, column: line.indexOf("[") + 1 };
      if (table === key) return { line: index + 1, column: line.indexOf("[") + 1 };
      continue;
    }
    const entry = /^(\s*)([A-Za-z0-9_\-."' ]+?)\s*=/.exec(line);
    if (entry?.[2] === undefined) continue;
    const name = table === "" ? bare(entry[2]) : `${table}.${bare(entry[2])}`;
    const place = { line: index + 1, column: (entry[1]?.length ?? 0) + 1 };
    if (name === key) return place;
    if (dot > 0 && isWithin(key, name)) fallback = place;
  }
  return fallback ?? { line: 1, column: 1 };
}

function bare(name: string): string {
  return name.split(".").map((part) => part.trim().replace(/^(["'])(.*)\1$/, "$2")).join(".");
}

function isWithin(key: string, table: string): boolean {
  return key === table || key.startsWith(`${table}.`);
}
