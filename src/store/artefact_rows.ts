import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { BangerError } from "../model/errors.ts";
import type { Row } from "./row.ts";
import { storeFailure } from "./store_failure.ts";

/** How records of one sort of artefact map to rows. */
export interface ArtefactMapping<T> {
  readonly table: "images" | "kernels";
  /** The noun for messages. */
  readonly noun: "image" | "kernel";
  toColumns(record: T): Readonly<Record<string, SQLInputValue>>;
  fromRow(row: Row): T;
}

/**
 * Rows of immutable artefacts that have a name and a digest. The newest published one of a name is
 * its *current* one; an older one stays, superseded, as long as a VM uses it.
 */
export class ArtefactRows<T extends { readonly name: string; readonly digest: string }> {
  readonly #mapping: ArtefactMapping<T>;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(db: DatabaseSync, mapping: ArtefactMapping<T>) {
    this.#db = db;
    this.#mapping = mapping;
  }

  /** Makes `record` the current one of its name; the one before becomes superseded. */
  publish(record: T): void {
    const columns = this.#mapping.toColumns(record);
    const names = ["name", "digest", "current", ...Object.keys(columns)];
    const values = names.map((name) => `:${name}`).join(", ");
    const nested = this.#db.isTransaction;
    try {
      if (!nested) this.#db.exec("BEGIN IMMEDIATE");
      this.#sql("UPDATE TABLE SET current = 0 WHERE name = ?").run(record.name);
      this.#sql(`INSERT OR REPLACE INTO TABLE (${names.join(", ")}) VALUES (${values})`)
        .run({ name: record.name, digest: record.digest, current: 1, ...columns });
      if (!nested) this.#db.exec("COMMIT");
    } catch (cause) {
      if (!nested && this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw storeFailure("change the store", cause);
    }
  }

  /** The current one of `name`. */
  find(name: string): T | undefined {
    return this.#one("SELECT * FROM TABLE WHERE name = ? AND current = 1", name);
  }

  /** The current one of `name`. @throws BangerError `not_found` */
  get(name: string): T {
    const found = this.find(name);
    if (found !== undefined) return found;
    const noun = this.#mapping.noun;
    throw new BangerError("not_found", `Cannot find ${noun} "${name}": there is none`, {
      hint: `banger ${noun} list shows all, banger ${noun} pull ${name} fetches one`,
    });
  }

  /** Any one with this digest, current or superseded. */
  findByDigest(digest: string): T | undefined {
    return this.#one("SELECT * FROM TABLE WHERE digest = ? ORDER BY current DESC", digest);
  }

  /** The current ones by name. */
  list(): T[] {
    return this.#many("SELECT * FROM TABLE WHERE current = 1 ORDER BY name");
  }

  /** Those that a newer one of the same name has replaced. */
  listSuperseded(): T[] {
    return this.#many("SELECT * FROM TABLE WHERE current = 0 ORDER BY name, digest");
  }

  /** Whether there was one. */
  delete(name: string, digest: string): boolean {
    try {
      return this.#sql("DELETE FROM TABLE WHERE name = ? AND digest = ?").run(name, digest)
        .changes !== 0;
    } catch (cause) {
      throw storeFailure("change the store", cause);
    }
  }

  #one(sql: string, value: string): T | undefined {
    const row = this.#sql(sql).get(value);
    return row === undefined ? undefined : this.#mapping.fromRow(row);
  }

  #many(sql: string): T[] {
    return this.#sql(sql).all().map((row) => this.#mapping.fromRow(row));
  }

  #sql(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#db.prepare(sql.replace("TABLE", this.#mapping.table));
    this.#statements.set(sql, statement);
    return statement;
  }
}
