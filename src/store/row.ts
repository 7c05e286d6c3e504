import { BangerError } from "../model/errors.ts";

/** A row as SQLite gives it. */
export type Row = Readonly<Record<string, unknown>>;

/** A TEXT column. @throws BangerError `internal` when the row does not hold one */
export function text(row: Row, column: string): string {
  const value = row[column];
  return typeof value === "string" ? value : wrong(column, value);
}

/** A TEXT column or NULL. */
export function textOrNull(row: Row, column: string): string | null {
  return row[column] === null ? null : text(row, column);
}

/** An INTEGER column. */
export function integer(row: Row, column: string): number {
  const value = row[column];
  return typeof value === "number" ? value : wrong(column, value);
}

/** An INTEGER column or NULL. */
export function integerOrNull(row: Row, column: string): number | null {
  return row[column] === null ? null : integer(row, column);
}

/** A TEXT column that holds one of `values`. */
export function oneOf<T extends string>(row: Row, column: string, values: readonly T[]): T {
  const value = row[column];
  return values.find((known) => known === value) ?? wrong(column, value);
}

/** A TEXT column that holds JSON, or NULL. The store wrote it, so its shape is trusted. */
export function jsonOrNull<T>(row: Row, column: string): T | null {
  const value = textOrNull(row, column);
  return value === null ? null : JSON.parse(value) as T;
}

/** JSON for a column; SQL NULL for `null` and `undefined`. */
export function toJson(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value);
}

function wrong(column: string, value: unknown): never {
  throw new BangerError("internal", `Cannot read the store: column "${column}" holds ${value}`);
}
