/**
 * The fault matrix: every effect of every operation goes wrong once in every way. Prints the count by operation
 * and fault, and every violation; exits with 1 when there is one.
 *
 * usage: deno run --allow-all tests/faults/matrix.ts [--lanes N] [--verbose] [OPERATION[/FAULT[/AT]]]...
 *
 * Needs build/bundle (make build), a C compiler and gpg.
 */
import { allOperations } from "./all_operations.ts";
import { canHappen } from "./operation.ts";
import { faults } from "./plan.ts";
import type { FaultRun } from "./run_fault.ts";
import { type Cell, sweep } from "./sweep.ts";
import { tableOf } from "./table.ts";

const args = [...Deno.args];
const isVerbose = args.includes("--verbose");
if (isVerbose) args.splice(args.indexOf("--verbose"), 1);
const lanesAt = args.indexOf("--lanes");
// A lane waits for the disk half of the time.
const lanes = lanesAt < 0 ? navigator.hardwareConcurrency + 1 : Number(args.splice(lanesAt, 2)[1]);

function cellsOf(words: readonly string[]): Cell[] {
  const all = allOperations.flatMap((operation) =>
    faults.filter((fault) => canHappen(operation, fault))
      .map((fault): Cell => ({ operation, fault, at: null }))
  );
  if (words.length === 0) return all;
  return words.flatMap((word) => {
    const [name, fault, at] = word.split("/");
    return all.filter((cell) =>
      cell.operation.name === name && (fault === undefined || cell.fault === fault)
    ).map((cell) => ({ ...cell, at: at === undefined ? null : Number(at) }));
  });
}

function say(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}

let isStopped = false;
// What runs is put in order first.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => void (isStopped = true));
}
const runs: FaultRun[] = [];
const begunMs = performance.now();
await sweep(cellsOf(args), lanes, (run) => {
  runs.push(run);
  const { operation, fault, at, effect, violations } = run;
  if (isVerbose) {
    say(`${(performance.now() - begunMs).toFixed(0)} ms: ${operation}/${fault}/${at} (${effect})`);
  }
  for (const violation of violations) {
    say(`VIOLATION ${operation}/${fault}/${at} (${effect}): ${violation}`);
  }
}, () => isStopped);
const violations = runs.filter((run) => run.violations.length > 0).length;
const seconds = Math.round((performance.now() - begunMs) / 1000);
say(tableOf(runs));
const howFar = isStopped ? ", stopped before its end" : "";
say(`${runs.length} runs, ${violations} with violations, in ${seconds} s${howFar}`);
Deno.exit(violations === 0 && !isStopped ? 0 : 1);
