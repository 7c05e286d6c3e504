import { faults } from "./plan.ts";
import type { FaultRun } from "./run_fault.ts";

/** The count of runs by operation and fault, with the violations among them. */
export function tableOf(runs: readonly FaultRun[]): string {
  const operations = [...new Set(runs.map(({ operation }) => operation))];
  const count = (some: readonly FaultRun[]) => {
    const bad = some.filter(({ violations }) => violations.length > 0).length;
    return bad === 0 ? `${some.length}` : `${some.length} (${bad}!)`;
  };
  const lines = operations.map((operation) => {
    const own = runs.filter((run) => run.operation === operation);
    return [
      operation,
      ...faults.map((fault) => count(own.filter((run) => run.fault === fault))),
      count(own),
    ];
  });
  const head = ["operation", ...faults, "all"];
  const sums = ["all", ...faults.map((fault) => count(runs.filter((run) => run.fault === fault)))];
  const rows = [head, ...lines, [...sums, count(runs)]];
  const widths = head.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) =>
    row.map((cell, at) => at === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[at]!))
      .join("  ").trimEnd()
  ).join("\n");
}
