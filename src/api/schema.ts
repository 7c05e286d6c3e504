/**
 * The contracts between CLI and owner daemon: one typed module per noun, with a runtime schema for
 * every parameter and result, and the codec for errors.
 *
 * Must not import anything above rank 1 but `model`.
 */
import * as v from "valibot";
import { labelLimits, labelProblem } from "../model/labels.ts";
import { checkName, type NameKind, nameProblem } from "../model/names.ts";
import { vmLimits } from "../model/vm.ts";

/** One method: what goes in, what comes out. */
export interface Method<P extends v.GenericSchema, R extends v.GenericSchema> {
  readonly params: P;
  readonly result: R;
}

/** Declares a method of a noun. */
export function method<P extends v.GenericSchema, R extends v.GenericSchema>(
  params: P,
  result: R,
): Method<P, R> {
  return { params, result };
}

/** A whole number of bytes, milliseconds, … */
export const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** A TCP or UDP port. */
export const port = v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(65_535));

/** A new name for a thing of `kind`. */
export function nameOf(kind: NameKind) {
  return v.pipe(
    v.string(),
    v.maxLength(4096),
    v.check(
      (name) => nameProblem(kind, name) === undefined,
      (issue) => messageOf(kind, String(issue.received)),
    ),
  );
}

function messageOf(kind: NameKind, shown: string): string {
  try {
    const name: unknown = JSON.parse(shown);
    checkName(kind, typeof name === "string" ? name : shown);
  } catch (error) {
    if (error instanceof Error) return error.message;
  }
  return `not a ${kind} name`;
}

/** A VM by name, id, or unique prefix of an id. */
export const vmRef = v.pipe(v.string(), v.minLength(1), v.maxLength(63), v.regex(/^[a-z0-9-]+$/));

/** An operation's or VM's id. */
export const id = v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/));

/** Virtual processors of a VM. */
export const cpus = v.pipe(
  v.number(),
  v.safeInteger(),
  v.minValue(vmLimits.cpus.lowest),
  v.maxValue(vmLimits.cpus.highest),
);

/** Memory of a VM in MiB. */
export const memoryMib = v.pipe(
  v.number(),
  v.safeInteger(),
  v.minValue(vmLimits.memoryMib.lowest),
  v.maxValue(vmLimits.memoryMib.highest),
);

/** Labels of a VM. */
export const labels = v.pipe(
  v.record(v.pipe(v.string(), v.maxLength(64)), v.pipe(v.string(), v.maxLength(1024))),
  v.check(
    (given) => Object.keys(given).length <= labelLimits.count,
    `a VM has at most ${labelLimits.count} labels`,
  ),
  v.check(
    (given) => Object.entries(given).every(([key, text]) => labelProblem(key, text) === undefined),
    "not a label",
  ),
);

/** After how long without use a VM is stopped, in milliseconds; 0: never. */
export const autoStopMs = v.pipe(
  v.number(),
  v.safeInteger(),
  v.minValue(0),
  v.maxValue(30 * 24 * 3_600_000),
);

/** Changes of labels: `null` removes one. */
export const labelChanges = v.pipe(
  v.record(v.pipe(v.string(), v.maxLength(64)), v.nullable(v.pipe(v.string(), v.maxLength(1024)))),
  v.check(
    (given) => Object.keys(given).length <= 2 * labelLimits.count,
    `a VM has at most ${labelLimits.count} labels`,
  ),
  v.check(
    (given) =>
      Object.entries(given).every(([key, text]) => labelProblem(key, text ?? "") === undefined),
    "not a label",
  ),
);

/** Size of a VM's system disk in bytes. */
export const diskBytes = v.pipe(
  v.number(),
  v.safeInteger(),
  v.minValue(vmLimits.diskBytes.lowest),
  v.maxValue(vmLimits.diskBytes.highest),
);

/** Size of a VM's work disk in bytes; 0: none. */
export const workDiskBytes = v.union([
  v.literal(0),
  v.pipe(
    v.number(),
    v.safeInteger(),
    v.minValue(vmLimits.workDiskBytes.lowest),
    v.maxValue(vmLimits.workDiskBytes.highest),
  ),
]);

/** No parameters, or no result. */
export const nothing = v.strictObject({});

/** What a method that starts long work answers. */
export const begun = v.object({ operationId: id });
