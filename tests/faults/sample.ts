import { allOperations } from "./all_operations.ts";
import { canHappen } from "./operation.ts";
import { faults } from "./plan.ts";
import type { Cell } from "./sweep.ts";

/** More effects than this have few operations; a number that none has costs a run that finds nothing. */
const usualEffects = 60;

/** Cells without an end, at random: the same seed gives the same ones. */
export function* sampleCells(seed: number): Generator<Cell> {
  const random = randomOf(seed);
  const oneOf = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!;
  for (;;) {
    const at = 1 + Math.floor(random() * random() * usualEffects);
    const operation = oneOf(allOperations), fault = oneOf(faults);
    if (canHappen(operation, fault)) yield { operation, fault, at };
  }
}

/** Numbers in [0, 1) (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
