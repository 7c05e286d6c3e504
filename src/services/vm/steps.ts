import { BangerError, reasonOf } from "../../model/errors.ts";
import type { VmId } from "../../model/ids.ts";
import type { VmPaths } from "../../paths/paths.ts";
import type { Missing, StartPlan, StartStep, StepContext } from "./contract.ts";

/**
 * Checks names and dependencies of the list once, when the service is built.
 *
 * @throws Error on a duplicate name or a dependency that does not stand earlier in the list
 */
export function checkSteps(steps: readonly StartStep[]): void {
  const seen = new Set<string>();
  for (const step of steps) {
    if (seen.has(step.name)) throw new Error(`two start steps are named ${step.name}`);
    for (const name of step.dependsOn) {
      if (!seen.has(name)) throw new Error(`${step.name} depends on ${name}, which is not earlier`);
    }
    seen.add(step.name);
  }
}

/** What a caller was refused already, and what of, where its reason alone does not say. */
export interface Refusal {
  readonly error: BangerError;
  readonly about?: string;
}

/**
 * Refuses with everything that is missing at once.
 *
 * @param known what the caller was refused already: told as it is when nothing else is missing
 * @throws BangerError `precondition`, or of the one kind that all `known` are, if there is nothing else
 */
export async function preflight(
  steps: readonly StartStep[],
  plan: StartPlan,
  known: readonly Refusal[] = [],
): Promise<void> {
  const looked = (await Promise.all(steps.map((step) => step.preflight?.(plan) ?? []))).flat();
  const [first] = known;
  const isOneKind = looked.length === 0 &&
    known.every(({ error }) => error.kind === first?.error.kind);
  if (first !== undefined && isOneKind && known.length === 1) throw first.error;
  const missing = [...known.map(missingOf), ...looked];
  if (missing.length === 0) return;
  const what = plan.name === null || plan.isNew ? "a VM here" : `VM "${plan.name}"`;
  const hints = new Set(missing.map(({ hint }) => hint).filter((hint) => hint !== ""));
  throw new BangerError(
    first !== undefined && isOneKind ? first.error.kind : "precondition",
    `Cannot start ${what}: ${missing.map((one) => one.what).join("; ")}`,
    { hint: [...hints].join("\n") },
  );
}

/** `Cannot …: REASON` without what could not be done. */
function missingOf({ error: { message, hint }, about }: Refusal): Missing {
  const reason = message.replace(/^Cannot .*?: /, "");
  return { what: about === undefined ? reason : `${about}: ${reason}`, hint: hint ?? "" };
}

/** Runs only the `prepare` hooks, all at once where their order allows. */
export async function prepareAll(
  steps: readonly StartStep[],
  context: StepContext,
): Promise<void> {
  await runGraph(steps, context, async (step) => await step.prepare?.(context));
}

/**
 * Runs `prepare` and `start` of every step; a step waits only for those it depends on. When one
 * fails or the signal aborts, the others are told to stop, everything that may have started is
 * undone in reverse order, and the first failure is thrown.
 */
export async function startAll(steps: readonly StartStep[], context: StepContext): Promise<void> {
  try {
    await runGraph(steps, context, async (step, signal) => {
      const own = { ...context, signal };
      await step.prepare?.(own);
      signal.throwIfAborted();
      await step.start?.(own);
    });
  } catch (error) {
    await stopAll(steps, context.vm.id, context.paths);
    throw error;
  }
}

/**
 * Runs every `stop` hook in reverse order, the later ones also when an earlier one failed.
 *
 * @throws BangerError `internal` naming the steps that failed
 */
export async function stopAll(
  steps: readonly StartStep[],
  vm: VmId,
  paths: VmPaths,
): Promise<void> {
  await reverse(steps, "stop", async (step) => await step.stop?.(vm, paths));
}

/** Runs every `cleanup` hook in reverse order; see {@linkcode stopAll}. */
export async function cleanupAll(
  steps: readonly StartStep[],
  vm: VmId,
  paths: VmPaths,
): Promise<void> {
  await reverse(steps, "clean up", async (step) => await step.cleanup?.(vm, paths));
}

async function runGraph(
  steps: readonly StartStep[],
  context: StepContext,
  body: (step: StartStep, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const done = new Map<string, Promise<void>>();
  let first: { readonly error: unknown } | undefined;
  for (const step of steps) {
    const earlier = step.dependsOn.map((name) => done.get(name));
    const own = (async () => {
      await Promise.all(earlier);
      signal.throwIfAborted();
      await body(step, signal);
    })();
    // A failure ends the others; theirs are consequences and not reported.
    own.catch((error) => {
      first ??= { error };
      stop.abort(error);
    });
    done.set(step.name, own);
  }
  await Promise.allSettled(done.values());
  if (context.signal.aborted) context.signal.throwIfAborted();
  if (first !== undefined) throw first.error;
}

async function reverse(
  steps: readonly StartStep[],
  what: string,
  body: (step: StartStep) => Promise<void>,
): Promise<void> {
  const failures: string[] = [];
  let cause: unknown;
  for (const step of steps.toReversed()) {
    try {
      await body(step);
    } catch (error) {
      failures.push(`${step.name} (${reasonOf(error)})`);
      cause ??= error;
    }
  }
  if (failures.length > 0) {
    throw new BangerError("internal", `Cannot ${what} every part: ${failures.join(", ")}`, {
      cause,
    });
  }
}
