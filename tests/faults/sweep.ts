import { processesOf } from "./inspect.ts";
import { Lane } from "./lane.ts";
import type { FaultOperation } from "./operation.ts";
import type { Fault } from "./plan.ts";
import { type FaultRun, runFault } from "./run_fault.ts";
import { createParams } from "./vm_under_test.ts";

/** A fault of an operation, at one effect or (`null`) at each of them. */
export interface Cell {
  readonly operation: FaultOperation;
  readonly fault: Fault;
  readonly at: number | null;
}

/** So many numbers in a row that no effect has: it had all. What a guest prints is counted, too. */
const missesAtEnd = 2;
/** More effects no operation has. */
const mostEffects = 500;

/** Runs all cells in `lanes` lanes at once; `onRun` is told each run. Stops early when `isOver`. */
export async function sweep(
  cells: Iterable<Cell>,
  lanes: number,
  onRun: (run: FaultRun) => void,
  isOver: () => boolean = () => false,
): Promise<void> {
  const rest = cells[Symbol.iterator]();
  await Promise.all(Array.from({ length: lanes }, async () => {
    let lane = await laneWithBystander();
    try {
      while (!isOver()) {
        const { value: cell, done } = rest.next();
        if (done === true) break;
        lane = await sweepCell(lane, cell, onRun, isOver);
      }
    } finally {
      await lane[Symbol.asyncDispose]();
    }
  }));
}

async function sweepCell(
  lane: Lane,
  { operation, fault, at }: Cell,
  onRun: (run: FaultRun) => void,
  isOver: () => boolean,
): Promise<Lane> {
  const last = at ?? mostEffects;
  for (let number = at ?? 1, misses = 0; number <= last && misses < missesAtEnd; number++) {
    if (isOver()) return lane;
    let run: FaultRun | undefined;
    try {
      run = await runFault(lane, operation, fault, number);
    } catch (error) {
      const effect = lane.daemon.fired?.effect ?? "none";
      const violations = [`the run broke off: ${(error as Error).message}`];
      run = { operation: operation.name, fault, at: number, effect, violations };
    }
    misses = run === undefined ? misses + 1 : 0;
    if (run === undefined) continue;
    onRun(run);
    // What is wrong now would be told again by every run that follows.
    if (run.violations.length > 0) lane = await replaced(lane);
  }
  return lane;
}

async function replaced(lane: Lane): Promise<Lane> {
  await lane[Symbol.asyncDispose]().catch(() => {});
  return await laneWithBystander();
}

/** A lane in which a VM runs that no run is about. */
async function laneWithBystander(): Promise<Lane> {
  const lane = await Lane.make();
  await lane.done("vm.create", createParams({ name: "bystander", start: true }));
  const vm = await lane.vm("bystander");
  const pid = (await processesOf(lane)).get(vm!.id.slice(0, 12))?.qemu[0];
  if (pid === undefined) throw new Error("the bystander does not run");
  lane.bystanders.set(vm!.id, pid);
  return lane;
}
