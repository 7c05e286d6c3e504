/**
 * Row 14 of the benchmarks: from the daemon's death by SIGKILL until the next one has taken over every VM and answers,
 * over what it cannot do without: the start of Deno, a look at the processes, a connection to each VM and the
 * rows. VMs run in the fake VMM.
 *
 * usage: deno run --allow-all --no-check tests/bench/reconcile_bench.ts [VMS] [PAIRS]     (200, 7)
 *
 * Needs build/bundle (make build) and gcc.
 */
import { Store } from "../../src/store/store.ts";
import { Lane } from "../faults/lane.ts";
import { processesOf } from "../faults/inspect.ts";
import { createParams } from "../faults/vm_under_test.ts";
import { at, median } from "./table.ts";

const vms = Number(Deno.args[0] ?? 200);
const pairs = Number(Deno.args[1] ?? 7);
/** VMs that are made at once. */
const atOnce = 4;
const target = 3;

const lane = await Lane.make();
try {
  await Deno.writeTextFile(`${lane.fake.dir}/app/empty.js`, "");
  let next = 0;
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (let n = next++; n < vms; n = next++) {
      await lane.done("vm.create", createParams({ name: `vm-${n}`, start: true }));
    }
  }));
  const own: number[] = [], floor: number[] = [];
  for (let pair = -1; pair < pairs; pair++) {
    const recovery = await recoveryMs();
    const parts = await partsMs();
    if (pair < 0) continue;
    own.push(recovery);
    floor.push(parts);
  }
  const ratios = own.map((ms, n) => ms / floor[n]!);
  const ratio = median(ratios);
  report(`recovery, ${vms} VMs`, own, "ms");
  report("its parts alone", floor, "ms");
  report("ratio, by pair", ratios, "×");
  say(`target ${target} ×: ${ratio <= target ? "met" : "missed"} at ${ratio.toFixed(2)} ×`);
} finally {
  await lane[Symbol.asyncDispose]();
}

/** Kills the daemon, and starts the next one. */
async function recoveryMs(): Promise<number> {
  await lane.down();
  const begunMs = performance.now();
  await lane.up();
  const tookMs = performance.now() - begunMs;
  const running = (await lane.vms()).filter(({ state }) => state === "running").length;
  if (running !== vms) throw new Error(`${running} of ${vms} VMs run`);
  return tookMs;
}

async function partsMs(): Promise<number> {
  await lane.down();
  const found = await processesOf(lane);
  const pids = [...found.values()].flatMap((
    { qemu, passt, filter },
  ) => [...qemu, ...passt, ...filter]);
  const ids = [...found.keys()];
  const begunMs = performance.now();
  await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-config", `${lane.fake.dir}/app/empty.js`],
  }).output();
  pids.forEach((pid) => Deno.readTextFileSync(`/proc/${pid}/stat`));
  for (const id of ids) {
    const path = `${lane.paths.runtimeDir}/${id}/q`;
    (await Deno.connect({ transport: "unix", path })).close();
  }
  {
    using store = Store.open(lane.paths);
    store.vms.list();
  }
  const tookMs = performance.now() - begunMs;
  await lane.up();
  return tookMs;
}

function report(name: string, values: readonly number[], unit: string): void {
  const digits = unit === "×" ? 2 : 0;
  const [low, middle, high] = [Math.min(...values), at(values, 0.5), Math.max(...values)]
    .map((value) => value.toFixed(digits));
  say(`${name.padEnd(24)} median ${middle} ${unit} (${low} to ${high})`);
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
