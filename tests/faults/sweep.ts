import { catalogWithKernel } from "./kernel_operations.ts";
import { processesOf } from "./inspect.ts";
import { Lane } from "./lane.ts";
import type { FaultOperation } from "./operation.ts";
import type { Fault } from "./plan.ts";
import { type FaultRun, runFault, survey } from "./run_fault.ts";
import { createParams } from "./vm_under_test.ts";

/** A fault of an operation, at one effect or (`null`) at each of them. */
export interface Cell {
  readonly operation: FaultOperation;
  readonly fault: Fault;
  readonly at: number | null;
}

/** Of the effects that say the same, such as the pieces of one file, no more are tried in each cell. */
const mostAlike = 4;

/** Runs all cells in `lanes` lanes at once; `onRun` is told each run. Stops early when `isOver`. */
export async function sweep(
  cells: Iterable<Cell>,
  lanes: number,
  onRun: (run: FaultRun) => void,
  isOver: () => boolean = () => false,
): Promise<void> {
  const rest = cells[Symbol.iterator]();
  await using catalog = await catalogWithKernel();
  const settings = [catalog.config()];
  await Promise.all(Array.from({ length: lanes }, async () => {
    let lane = await laneWithBystander(settings);
    try {
      while (!isOver()) {
        const { value: cell, done } = rest.next();
        if (done === true) break;
        lane = await sweepCell(lane, cell, settings, onRun, isOver);
      }
    } finally {
      await lane[Symbol.asyncDispose]();
    }
  }));
}

async function sweepCell(
  lane: Lane,
  cell: Cell,
  settings: readonly string[],
  onRun: (run: FaultRun) => void,
  isOver: () => boolean,
): Promise<Lane> {
  const { operation, fault } = cell;
  const attempt = async <T>(at: number, body: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await body();
    } catch (error) {
      const effect = lane.daemon.fired?.effect ?? "none";
      const violations = [`the run broke off: ${(error as Error).message}`];
      onRun({ operation: operation.name, fault, at, effect, violations });
      // What is wrong now would be told again by every run that follows.
      lane = await replaced(lane, settings);
    }
  };
  const numbers = cell.at === null
    ? await attempt(0, async () => worthTrying(await survey(lane, operation, fault)))
    : [cell.at];
  for (const number of numbers ?? []) {
    if (isOver()) return lane;
    const run = await attempt(number, () => runFault(lane, operation, fault, number));
    if (run === undefined) continue;
    onRun(run);
    if (run.violations.length > 0) lane = await replaced(lane, settings);
  }
  return lane;
}

/** Numbers of the effects that are tried: of many alike, spread over all of them. */
export function worthTrying(effects: readonly (string | undefined)[]): readonly number[] {
  const alike = Map.groupBy([...effects.keys()], (at) => classOf(effects[at]) ?? at);
  return [...alike.values()].flatMap((places) =>
    places.length <= mostAlike
      ? places
      : Array.from({ length: mostAlike }, (_, step) =>
        places[Math.round(step * (places.length - 1) / (mostAlike - 1))]!)
  ).map((at) => at + 1).sort((a, b) => a - b);
}

/** A VM's sockets are removed one like the other. */
function classOf(effect: string | undefined): string | undefined {
  return effect?.replace(/^(remove ID\/)[acfnq0-9]$/, "$1SOCKET");
}

async function replaced(lane: Lane, settings: readonly string[]): Promise<Lane> {
  await lane[Symbol.asyncDispose]().catch(() => {});
  return await laneWithBystander(settings);
}

/** A lane in which a VM runs that no run is about. */
async function laneWithBystander(settings: readonly string[]): Promise<Lane> {
  const lane = await Lane.make(...settings);
  await lane.done("vm.create", createParams({ name: "bystander", start: true }));
  const vm = await lane.vm("bystander");
  const pid = processesOf(lane).get(vm!.id.slice(0, 12))?.qemu[0];
  if (pid === undefined) throw new Error("the bystander does not run");
  lane.bystanders.set(vm!.id, pid);
  return lane;
}
