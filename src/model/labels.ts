import { BangerError } from "./errors.ts";

/** Marks of a user on a VM, by key. */
export type Labels = Readonly<Record<string, string>>;

/** Most labels of one VM, and the longest value in characters. */
export const labelLimits = { count: 64, valueLength: 256 } as const;

const keyPattern = /^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/;
// deno-lint-ignore no-control-regex -- they would reach terminals
const controlPattern = /[\u0000-\u001f\u007f-\u009f]/;

/** Why `key` with `value` is no label; `undefined` when it is one. */
export function labelProblem(key: string, value: string): string | undefined {
  if (!keyPattern.test(key)) {
    return "a key has 1 to 63 letters, digits, dots, hyphens, underscores and slashes";
  }
  if (value.length > labelLimits.valueLength) {
    return `a value has at most ${labelLimits.valueLength} characters`;
  }
  return controlPattern.test(value) ? "a value has no control characters" : undefined;
}

/**
 * A label as it is written: `KEY=VALUE`, or `KEY` for one with an empty value.
 *
 * @throws BangerError `invalid`
 */
export function parseLabel(text: string): readonly [key: string, value: string] {
  const equals = text.indexOf("=");
  const key = equals < 0 ? text : text.slice(0, equals);
  const value = equals < 0 ? "" : text.slice(equals + 1);
  const problem = labelProblem(key, value);
  if (problem === undefined) return [key, value];
  const shown = text.length > 80 ? `${text.slice(0, 40)}…` : text;
  throw new BangerError("invalid", `Cannot use label ${JSON.stringify(shown)}: ${problem}`, {
    hint: "Such as --label team=web",
  });
}

/** Whether `labels` have all of `wanted`; `null` asks for the key only. */
export function hasLabels(
  labels: Labels,
  wanted: readonly (readonly [key: string, value: string | null])[],
): boolean {
  return wanted.every(([key, value]) =>
    Object.hasOwn(labels, key) && (value === null || labels[key] === value)
  );
}
