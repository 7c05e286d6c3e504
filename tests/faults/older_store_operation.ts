import { DatabaseSync } from "node:sqlite";
import { migrations } from "../../src/store/migrations.ts";
import type { FaultOperation } from "./operation.ts";
import { begin } from "./start_operation.ts";
import { bringTo, world } from "./vm_under_test.ts";

/** The start of a daemon that finds the store of an earlier banger, and has a running VM to take over. */
export const olderStoreOperation: FaultOperation = {
  name: "daemon start (older store)",
  prepare: async (lane) => {
    await bringTo(lane, "running");
    await lane.down();
    await makeOlder(lane.paths.storeFile);
  },
  start: begin,
  run: (lane) => lane.attempt("daemon.reconcile", { dryRun: false }),
  world,
  worlds: { ok: ["running"], failed: ["running"], lost: ["running"], vmm: ["stopped"] },
};

/** Makes the store at `storeFile`, which nobody has open, one from before the newest migration, with its rows. */
async function makeOlder(storeFile: string): Promise<void> {
  const older = `${storeFile}.older`;
  const steps = migrations.slice(0, -1);
  await Deno.remove(older).catch(() => {});
  using store = new DatabaseSync(older);
  store.exec("PRAGMA journal_mode = WAL");
  for (const { sql } of steps) store.exec(sql);
  store.exec(`PRAGMA foreign_keys = OFF; ATTACH '${storeFile}' AS newer`);
  const id = Object.values(store.prepare("PRAGMA newer.application_id").get() ?? {})[0];
  store.exec(`PRAGMA application_id = ${id}; PRAGMA user_version = ${steps.at(-1)?.version}`);
  const tables = store.prepare("SELECT name FROM main.sqlite_master WHERE type = 'table'").all();
  const columnsOf = (schema: string, table: unknown) =>
    store.prepare(`PRAGMA ${schema}.table_info('${table}')`).all().map(({ name }) => String(name));
  for (const { name } of tables) {
    const newer = columnsOf("newer", name);
    const both = columnsOf("main", name).filter((column) => newer.includes(column)).join(", ");
    if (both === "") continue;
    store.exec(`INSERT OR REPLACE INTO main.${name} (${both}) SELECT ${both} FROM newer.${name}`);
  }
  store.exec("DETACH newer");
  store.close();
  for (const end of ["", "-wal", "-shm"]) await Deno.remove(storeFile + end).catch(() => {});
  await Deno.rename(older, storeFile);
}
