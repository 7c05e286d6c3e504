import type { Paths } from "../../src/paths/paths.ts";
import type { Banger } from "../support/banger.ts";

/** What every row gets. */
export interface BenchContext {
  /** The built program with a home of its own, whose store has `vmCount` stopped VMs. */
  readonly banger: Banger;
  readonly paths: Paths;
  /** How often each side is measured, in turn. */
  readonly pairs: number;
  readonly vmCount: number;
}

/** One row: figures of banger's and of the floor's, in the same unit, measured in turn. */
export interface BenchRow {
  /** Number in the list of targets. */
  readonly row: number;
  readonly name: string;
  readonly floorName: string;
  readonly unit: "ms" | "MiB" | "ticks";
  readonly own: readonly number[];
  /** Empty when the target is a figure of its own. */
  readonly floor: readonly number[];
  /** Most that the ratio of the medians (without a floor: the median) may be. */
  readonly target: number;
}

/** First lines of the table. */
export const tableHead = "| row | what | median (spread) | floor | ratio | target | |\n" +
  "| --- | --- | --- | --- | --- | --- | --- |";

/** A row as a line of the table. */
export function tableLine(row: BenchRow): string {
  const hasFloor = row.floor.length > 0;
  const value = hasFloor ? median(row.own) / median(row.floor) : median(row.own);
  const cells = [
    String(row.row),
    row.name,
    figure(row.own, row.unit),
    hasFloor ? `${row.floorName}: ${figure(row.floor, row.unit)}` : row.floorName,
    hasFloor ? `${value.toFixed(2)} ×` : "",
    hasFloor ? `${row.target} ×` : String(row.target),
    value <= row.target ? "pass" : "miss",
  ];
  return `| ${cells.join(" | ")} |`;
}

/** The middle of the values. */
export function median(values: readonly number[]): number {
  return at(values, 0.5);
}

/** The value below which `share` of the values are. */
export function at(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? NaN;
}

function figure(values: readonly number[], unit: BenchRow["unit"]): string {
  const digits = unit === "ticks" ? 0 : median(values) < 3 ? 3 : 1;
  const [low, middle, high] = [Math.min(...values), median(values), Math.max(...values)]
    .map((value) => value.toFixed(digits));
  return `${middle} ${unit} (${low}–${high})`;
}
