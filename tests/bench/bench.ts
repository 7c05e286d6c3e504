/**
 * Rows 1 to 6 of the benchmarks: what the built banger costs over a floor, side by side in one run.
 * Prints a table of docs/performance.md's form.
 *
 * usage: deno task bench [PAIRS]     (21 pairs; 7 at least)
 *
 * Owns the figures of the CLI's start and of the daemon. A VM's start is in run_bench.ts. Must not be
 * part of a test: figures of a busy machine fail nobody.
 */
import { Paths } from "../../src/paths/paths.ts";
import { Banger } from "../support/banger.ts";
import { cliRows } from "./cli_rows.ts";
import { fillStore } from "./fill_store.ts";
import { memoryRows } from "./memory_rows.ts";
import { rpcRows } from "./rpc_rows.ts";
import { storeRows } from "./store_rows.ts";
import { tableHead, tableLine } from "./table.ts";
import { say } from "./report.ts";

const pairs = Math.max(7, Number(Deno.args[0] ?? 21));
const vmCount = 1000;

const home = await Deno.makeTempDir({ prefix: "banger-bench-" });
const banger = new Banger(home);
const paths = new Paths({ uid: Deno.uid() ?? 0, home });
try {
  fillStore(paths, vmCount);
  say(tableHead);
  for (const rows of [cliRows, rpcRows, memoryRows, storeRows]) {
    for await (const row of rows({ banger, paths, pairs, vmCount })) say(tableLine(row));
  }
} finally {
  // Rows without disks behind them: the daemon ends, and the directories go as they are.
  await banger.run(["daemon", "stop", "--force"]);
  for (const dir of [home, paths.runtimeDir]) {
    await Deno.remove(dir, { recursive: true }).catch(() => {});
  }
}
