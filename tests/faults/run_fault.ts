import { inspect } from "./inspect.ts";
import type { Lane, Outcome } from "./lane.ts";
import type { FaultOperation } from "./operation.ts";
import type { Fault, Plan } from "./plan.ts";

/** One run: a fault at an effect of an operation, and what was wrong afterwards. */
export interface FaultRun {
  readonly operation: string;
  readonly fault: Fault;
  readonly at: number;
  readonly effect: string;
  readonly violations: readonly string[];
}

/** How long the end of a VMM may take to be noticed, in milliseconds. */
const noticedMs = 2_000;
/** How long a daemon that is killed may take to be gone, in milliseconds. */
const killedMs = 5_000;

/**
 * Does the operation with the fault at its effect number `at`; lets the daemon recover; compares store, processes
 * and disk with the model; makes the same call again. `undefined`: there is no such effect.
 */
export async function runFault(
  lane: Lane,
  operation: FaultOperation,
  fault: Fault,
  at: number,
): Promise<FaultRun | undefined> {
  await lane.up();
  await operation.prepare(lane);
  const plan: Plan = { fault, at, spared: [...lane.bystanders.keys()] };
  const outcomes = operation.start === undefined
    ? await callWith(lane, operation, plan)
    : [await operation.start(lane, plan)];
  const { daemon } = lane;
  await daemon.disarm();
  const { fired } = daemon;
  if (fired === undefined) return undefined;
  if (fault.startsWith("kill_")) await endsInTime(lane);
  await lane.up();
  const { effect } = fired;
  const violations = await verify(lane, operation, { fault, effect }, outcomes);
  return { operation: operation.name, fault, at, effect, violations };
}

/**
 * Does the operation without any fault. Answers its effects that `fault` can happen to, in their order.
 *
 * @throws Error when it does not succeed
 */
export async function survey(
  lane: Lane,
  operation: FaultOperation,
  fault: Fault,
): Promise<readonly (string | undefined)[]> {
  await lane.up();
  await operation.prepare(lane);
  const plan: Plan = { fault, at: 0, spared: [...lane.bystanders.keys()] };
  let outcome: Outcome;
  if (operation.start !== undefined) outcome = await operation.start(lane, plan);
  else {
    await lane.daemon.arm(plan);
    outcome = await operation.run(lane);
  }
  await lane.daemon.disarm();
  if (outcome.how === "ok") return lane.daemon.seen;
  throw new Error(`without a fault it ${wordsOf(outcome)}`);
}

/** Makes the call, or two of them, with the plan. */
async function callWith(lane: Lane, operation: FaultOperation, plan: Plan): Promise<Outcome[]> {
  await lane.daemon.arm(plan);
  const first = operation.run(lane);
  const second = plan.fault === "twice" ? secondCall(lane, operation, first) : undefined;
  return [await first, await second].filter((one) => one !== undefined);
}

/** @throws Error when the daemon was to be killed and lives */
async function endsInTime({ daemon }: Lane): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, killedMs);
  await Promise.race([daemon.ended, late.promise]);
  clearTimeout(timer);
  if (!daemon.isOver) throw new Error("the daemon was not killed");
}

/** The same call, as soon as the first has come to the effect; none if it never does. */
async function secondCall(
  lane: Lane,
  operation: FaultOperation,
  first: Promise<Outcome>,
): Promise<Outcome | undefined> {
  const fired = lane.daemon.untilFired().then(() => true);
  const isFired = await Promise.race([fired, first.then(() => false)]);
  return isFired ? await operation.run(lane) : undefined;
}

async function verify(
  lane: Lane,
  operation: FaultOperation,
  { fault, effect }: Pick<FaultRun, "fault" | "effect">,
  outcomes: readonly Outcome[],
): Promise<string[]> {
  const violations: string[] = [];
  const { worlds } = operation;
  for (const outcome of outcomes) {
    if (fault !== "twice" || outcome.how === "ok") continue;
    if (!isRefusal(outcome, operation.refusedTwice)) {
      violations.push(`I4: one of two calls at once ${wordsOf(outcome)}`);
    }
  }
  const how = outcomes.some((one) => one.how === "ok") ? "ok" : outcomes[0]?.how ?? "lost";
  const mayBreak = how === "failed" && (fault === "vmm" || effect.startsWith("write to "));
  const allowed = [
    ...worlds[how],
    ...(fault === "vmm" ? worlds.vmm ?? [] : []),
    ...(mayBreak ? worlds.broke ?? [] : []),
  ];
  const world = await untilWorld(lane, operation, allowed);
  if (!allowed.includes(world)) {
    const rule = how === "ok" ? "I6" : "I3";
    violations.push(`${rule}: it ${outcomes.map(wordsOf).join(", ")}; there is: ${world}`);
  }
  violations.push(...await inspectAfter(lane, fault));
  const again = await (operation.again?.(lane, world) ?? operation.run(lane));
  const wasDone = worlds.ok.includes(world) || worlds.vmm?.includes(world) === true;
  if (again.how !== "ok" && !(wasDone && isRefusal(again, operation.refusedAgain))) {
    violations.push(`I4: there was: ${world}; made again, it ${wordsOf(again)}`);
  }
  const last = await operation.world(lane);
  const final = [
    ...worlds.ok,
    ...(again.how === "ok" ? [] : [world]),
    // Its end may be noticed only now.
    ...(fault === "vmm" ? worlds.vmm ?? [] : []),
  ];
  if (!final.includes(last)) violations.push(`I4: made again, there is: ${last}`);
  for (const wrong of await inspect(lane)) violations.push(`made again: ${wrong}`);
  return violations;
}

/** Things that nobody removes or opens again while the daemon runs. */
function isLeft(wrong: string): boolean {
  const removed = /^(staging|images|kernels|state|directory vms)\/|^socket directory /;
  return removed.test(wrong) || / half-made file |^published port /.test(wrong);
}

/** What could not be removed (EIO) is removed by the next daemon at the latest. */
async function inspectAfter(lane: Lane, fault: Fault): Promise<readonly string[]> {
  const found = await inspect(lane, fault === "eio" ? isLeft : undefined);
  if (fault !== "eio" || found.length === 0 || !found.every(isLeft)) return found;
  await lane.down();
  await lane.up();
  return await inspect(lane);
}

/** The world, once it is one of these; as it is when it does not become so in time. */
async function untilWorld(
  lane: Lane,
  operation: FaultOperation,
  allowed: readonly string[],
): Promise<string> {
  const endMs = performance.now() + noticedMs;
  for (;;) {
    const world = await operation.world(lane);
    if (allowed.includes(world) || performance.now() > endMs) return world;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function isRefusal(outcome: Outcome, words: RegExp | undefined): boolean {
  return outcome.how === "failed" && words?.test(outcome.error.message) === true;
}

function wordsOf(outcome: Outcome): string {
  return outcome.how === "failed"
    ? `failed (${outcome.error.message})`
    : outcome.how === "ok"
    ? "succeeded"
    : "was cut off";
}
