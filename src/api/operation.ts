import * as v from "valibot";
import { operationStates } from "../model/artefacts.ts";
import { errorKinds } from "../model/errors.ts";
import { count, id, method, nothing } from "./schema.ts";

/** An error as it crosses the socket; `codec.ts` converts it both ways. */
export const wireError = v.object({
  kind: v.picklist(errorKinds),
  message: v.string(),
  hint: v.nullable(v.string()),
  detail: v.nullable(v.string()),
  code: v.nullable(v.string()),
});

/** See {@linkcode wireError}. */
export type WireError = v.InferOutput<typeof wireError>;

/** How long a stage of an operation took. */
export const stageTiming = v.object({
  id: v.string(),
  title: v.string(),
  startedAfterMs: count,
  tookMs: v.nullable(count),
  outcome: v.nullable(v.picklist(["done", "skipped", "failed", "cancelled"])),
});

/** An operation as clients see it. */
export const operationView = v.object({
  id,
  /** Method that began it, such as `vm.create`. */
  method: v.string(),
  /** What it works on, such as a VM's name. */
  subject: v.string(),
  state: v.picklist(operationStates),
  startedAtMs: count,
  finishedAtMs: v.nullable(count),
  stages: v.array(stageTiming),
  notices: v.array(v.string()),
  /** Method-specific; set when it succeeded. */
  result: v.nullable(v.unknown()),
  error: v.nullable(wireError),
});

/** See {@linkcode operationView}. */
export type OperationView = v.InferOutput<typeof operationView>;

/** Methods on operations. */
export const operationMethods = {
  "operation.list": method(nothing, v.object({ operations: v.array(operationView) })),
  "operation.status": method(v.strictObject({ id }), v.object({ operation: operationView })),
  /**
   * Answers when the operation is final. Meanwhile sends notifications `operation.event` with
   * `{ id, event: StageEvent }`, first replaying those already past.
   */
  "operation.watch": method(v.strictObject({ id }), v.object({ operation: operationView })),
  /** Asks it to stop and unwind; answers at once. */
  "operation.cancel": method(v.strictObject({ id }), nothing),
} as const;
