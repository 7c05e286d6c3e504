import type { StageRecord } from "../render/stage_view.ts";
import { table } from "../render/table.ts";

/** The table that `--timings` prints. Stages overlap, so their sum is not the total. */
export function timingsTable(records: readonly StageRecord[], totalMs: number): string {
  const rows = records.map(({ title, tookMs, outcome }) => [
    outcome === "done" ? title : `${title} (${outcome})`,
    `${Math.round(tookMs)} ms`,
  ]);
  const last = ["Everything", `${Math.round(totalMs)} ms`];
  return table(["STAGE", "TOOK"], [...rows, last], ["left", "right"]);
}
