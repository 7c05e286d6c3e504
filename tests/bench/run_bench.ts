/**
 * Row 9 of the benchmarks: `banger vm run --rm --no-workspace -- true`, image and kernel cached and
 * the daemon running, over raw QEMU that boots the same kernel, initrd and disks, without banger and
 * without a network, until the same marker: the agent has run `true`. The time until the agent's first
 * answer is shown beside it.
 *
 * usage: deno run --allow-all tests/bench/run_bench.ts [PAIRS]
 *
 * Needs build/bin/banger; pulls image and kernel the first time. Runs are interleaved.
 */
import type { Banger } from "../support/banger.ts";
import { withCachedBanger } from "../support/banger.ts";
import { RawVm } from "../support/raw_vm.ts";
import { report, say } from "./report.ts";

const pairs = Math.max(7, Number(Deno.args[0] ?? 7));
const vmSize = { cpus: 2, memoryMib: 2048 };

await withCachedBanger(async (banger) => {
  await run(banger);
  const ready: number[] = [];
  const raw: number[] = [];
  const runs: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const boot = await rawBoot(banger.home);
    ready.push(boot.readyMs);
    raw.push(boot.doneMs);
    runs.push(await run(banger));
  }
  const ratios = runs.map((ms, index) => ms / raw[index]!);
  report("raw QEMU until the agent answers", ready, "ms");
  report("raw QEMU until `true` has run", raw, "ms");
  report("banger vm run --rm -- true", runs, "ms");
  report("ratio to the agent's answer, by pair", runs.map((ms, index) => ms / ready[index]!), "×");
  report("ratio, by pair", ratios, "×");
  const ratio = median(ratios);
  say(`target 1.10 ×, aim 1.03 ×: ${ratio <= 1.1 ? "met" : "missed"} at ${ratio.toFixed(3)} ×`);
});

async function run(banger: Banger): Promise<number> {
  const startMs = performance.now();
  const args = ["vm", "run", "--rm", "--no-workspace", "--quiet", "--", "true"];
  await banger.ok(args, { timeoutMs: 600_000 });
  return performance.now() - startMs;
}

interface RawBoot {
  readonly readyMs: number;
  readonly doneMs: number;
}

async function rawBoot(home: string): Promise<RawBoot> {
  await using vm = await RawVm.prepare(home, vmSize);
  const startMs = performance.now();
  await vm.launch();
  const session = await vm.session();
  const readyMs = performance.now() - startMs;
  const exec = { argv: ["true"], cwd: null, env: {}, user: null, stdin: false };
  const { stdout, stderr, exit } = session.exec(exec);
  await Promise.all([stdout.cancel(), stderr.cancel(), exit]);
  const doneMs = performance.now() - startMs;
  session.close();
  return { readyMs, doneMs };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
