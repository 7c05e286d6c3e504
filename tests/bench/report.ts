import { median } from "./table.ts";

/** A line of figures: their median and spread, and with a target whether the median meets it. */
export function report(
  name: string,
  values: readonly number[],
  unit: string,
  target?: number,
): void {
  const middle = median(values);
  const digits = unit === "×" ? 3 : middle < 100 ? 1 : 0;
  const figure = (value: number) => value.toFixed(digits);
  const verdict = target === undefined
    ? ""
    : `  target ${target} ${unit}: ${middle <= target ? "met" : "missed"}`;
  say(
    `${name.padEnd(38)} median ${figure(middle)} ${unit} ` +
      `(${figure(Math.min(...values))} to ${figure(Math.max(...values))})${verdict}`,
  );
}

/** Prints a line. */
export function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
