/**
 * The owner daemon's store: SQLite in one file, opened by one process.
 *
 * Owns: opening and checking the file, migrations with backups, one repository per aggregate.
 * Every change is durable (synchronous=FULL) when the call returns. Must not import services.
 */
import { DatabaseSync } from "node:sqlite";
import { BangerError, reasonOf } from "../model/errors.ts";
import { Images } from "./images.ts";
import { Kernels } from "./kernels.ts";
import { type Migration, migrations } from "./migrations.ts";
import { OperationRows } from "./operations.ts";
import { storeFailure } from "./store_failure.ts";
import { Vms } from "./vms.ts";

/** `application_id` of banger's files: "bngr". */
const applicationId = 0x626e6772;

/** Where the store and its backups are. */
export interface StoreLocation {
  readonly storeFile: string;
  /** Where the copy from before a migration away from `version` goes. */
  storeBackup(version: number): string;
}

/** How the store is opened. */
export interface StoreOptions {
  /** The schema steps; banger's own unless a test says otherwise. */
  readonly migrations?: readonly Migration[];
}

/** The open store. All calls are synchronous and take well under a millisecond. */
export class Store implements Disposable {
  readonly vms: Vms;
  readonly images: Images;
  readonly kernels: Kernels;
  readonly operations: OperationRows;
  readonly #db: DatabaseSync;

  private constructor(db: DatabaseSync) {
    this.#db = db;
    this.vms = new Vms(db);
    this.images = new Images(db);
    this.kernels = new Kernels(db);
    this.operations = new OperationRows(db);
  }

  /**
   * Opens the store, makes it when it does not exist, and migrates an older one after a backup.
   *
   * @throws BangerError `precondition`, without having changed anything, when the file is damaged,
   * of another program, or of a newer banger
   */
  static open(location: StoreLocation, options: StoreOptions = {}): Store {
    const file = location.storeFile;
    const db = openChecked(location);
    try {
      migrate(db, location, options.migrations ?? migrations);
      return new Store(db);
    } catch (cause) {
      db.close();
      throw storeFailure(`open the store "${file}"`, cause);
    }
  }

  /** Runs `body` in one transaction: all of its changes become durable together, or none. */
  transaction<T>(body: () => T): T {
    return inTransaction(this.#db, body);
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Runs `body` between BEGIN IMMEDIATE and COMMIT; rolls back when it throws. */
function inTransaction<T>(db: DatabaseSync, body: () => T): T {
  db.exec("BEGIN IMMEDIATE");
  try {
    const result = body();
    db.exec("COMMIT");
    return result;
  } catch (error) {
    // A failed COMMIT (disk full) may have rolled back already.
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

function openChecked(location: StoreLocation): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(location.storeFile, { timeout: 5000 });
    const check = db.prepare("PRAGMA quick_check(1)").get();
    if (check?.["quick_check"] !== "ok") throw new Error(String(check?.["quick_check"]));
    const own = pragma(db, "application_id");
    const empty = pragma(db, "schema_version") === 0;
    if (own !== applicationId && !(own === 0 && empty)) {
      throw new BangerError(
        "precondition",
        `Cannot open the store "${location.storeFile}": it belongs to another program`,
        {
          code: "STORE_FOREIGN",
          hint: `Move it away: mv '${location.storeFile}' '${location.storeFile}.other'`,
        },
      );
    }
    return db;
  } catch (cause) {
    db?.close();
    if (/not a database|malformed|corrupt|\*\*\*|wrong # of entries/i.test(reasonOf(cause))) {
      throw damaged(location, cause);
    }
    throw storeFailure(`open the store "${location.storeFile}"`, cause);
  }
}

function damaged(location: StoreLocation, cause: unknown): BangerError {
  const file = location.storeFile;
  const backup = newestBackup(location);
  return new BangerError(
    "precondition",
    `Cannot open the store "${file}": it is damaged (${reasonOf(cause)})`,
    {
      code: "STORE_DAMAGED",
      hint: backup === undefined
        ? `Nothing was changed. Start afresh with: banger daemon stop; rm -f '${file}-wal' '${file}-shm'; mv '${file}' '${file}.damaged'`
        : `Nothing was changed. Go back to the backup with: banger daemon stop; rm -f '${file}-wal' '${file}-shm'; cp '${backup}' '${file}'`,
      cause,
    },
  );
}

function newestBackup(location: StoreLocation): string | undefined {
  for (let version = migrations.length; version > 0; version--) {
    try {
      Deno.statSync(location.storeBackup(version));
      return location.storeBackup(version);
    } catch {
      // Not there, or not to be read: look for an older one.
    }
  }
  return undefined;
}

function migrate(db: DatabaseSync, location: StoreLocation, steps: readonly Migration[]): void {
  const present = pragma(db, "user_version");
  const newest = steps.at(-1)?.version ?? 0;
  if (present > newest) {
    throw new BangerError(
      "precondition",
      `Cannot open the store "${location.storeFile}": a newer banger wrote it ` +
        `(schema ${present}, this one knows ${newest})`,
      { code: "STORE_NEWER", hint: "Use that banger again; nothing was changed" },
    );
  }
  // Not earlier: changing the journal mode writes to the file.
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;");
  const due = steps.filter((step) => step.version > present);
  if (due.length === 0) return;
  if (present > 0) backUp(db, location.storeFile, location.storeBackup(present));
  inTransaction(db, () => {
    for (const step of due) db.exec(step.sql);
    db.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${newest};`);
  });
}

/**
 * Copies the store before it is changed. Nobody else has it open (the daemon holds its lock), so that the file is
 * all of it once the log is written back. `VACUUM INTO` would need the right to attach, which Deno gives only
 * with every permission.
 */
function backUp(db: DatabaseSync, from: string, path: string): void {
  db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  const temporary = `${path}.new`;
  Deno.copyFileSync(from, temporary);
  Deno.renameSync(temporary, path);
}

function pragma(db: DatabaseSync, name: string): number {
  return Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0] ?? 0);
}
