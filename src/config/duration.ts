import parseDuration from "parse-duration";

/** Bounds of the time after which an unused VM is stopped, in milliseconds. */
export const autoStopLimitsMs = { lowest: 60_000, highest: 30 * 24 * 3_600_000 } as const;

/** A time such as `90s`, `2h` or `1h30m` in milliseconds, when it is one within the bounds. */
export function durationMs(value: unknown, lowest: number, highest: number): number | undefined {
  // A number without a unit could be anything.
  if (typeof value !== "string" || !/^\s*\d.*[a-z]\s*$/i.test(value)) return undefined;
  const ms = parseDuration(value);
  if (ms === null || ms === undefined || !(ms >= lowest && ms <= highest)) return undefined;
  return Math.round(ms);
}
