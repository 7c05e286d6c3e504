import type { Lane, Outcome } from "./lane.ts";
import type { Fault, Plan } from "./plan.ts";

/** What an operation of the matrix does, and the pure model of it. Worlds are told in words. */
export interface FaultOperation {
  readonly name: string;
  /** The VM under test does not run, nor is it to: there is no VMM that could be killed. */
  readonly atRest?: boolean;
  /** Brings the lane to where the operation begins, in whatever state the last run left it. */
  prepare(lane: Lane): Promise<void>;
  run(lane: Lane): Promise<Outcome>;
  /** Where the fault is not one of a call but of the daemon's start: starts it with the plan. */
  start?(lane: Lane, plan: Plan): Promise<Outcome>;
  /** The same call made again, where the world that the first has left wants another one; else `run`. */
  again?(lane: Lane, world: string): Promise<Outcome>;
  /** What there is now, as far as the operation is about it. */
  world(lane: Lane): Promise<string>;
  /** Worlds that may be there, by how the call ended; after `lost` the daemon has recovered. */
  readonly worlds: {
    readonly ok: readonly string[];
    readonly failed: readonly string[];
    readonly lost: readonly string[];
    /** Besides, when a VMM was killed. */
    readonly vmm?: readonly string[];
    /** Besides, when the call failed because a VMM was killed, or cannot be spoken to: its guest broke. */
    readonly broke?: readonly string[];
  };
  /** What the same call may answer when it is made again and the first was done already. */
  readonly refusedAgain?: RegExp;
  /** What one of two calls at once may answer while the other succeeds. */
  readonly refusedTwice?: RegExp;
}

/** Whether a fault can happen to it. */
export function canHappen({ atRest = false }: FaultOperation, fault: Fault): boolean {
  return !atRest || fault !== "vmm";
}
