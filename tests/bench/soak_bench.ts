/**
 * VMs made, started, stopped and deleted over and over, in the fake VMM: how the daemon's memory and its
 * descriptors grow. The slope of its resident memory is that of a line through the second half (least
 * squares), so that caches that fill at the beginning do not count.
 *
 * usage: deno run --allow-all --no-check tests/bench/soak_bench.ts [CYCLES]     (5000)
 *
 * Needs build/bundle (make build) and gcc.
 */
import { Lane } from "../faults/lane.ts";
import { createParams } from "../faults/vm_under_test.ts";
import { say } from "./report.ts";

const cycles = Number(Deno.args[0] ?? 5000);
/** Cycles at once. */
const lanes = 2;
const targets = { slopeKib: 1, descriptors: 0 } as const;
const sampleEvery = 10;

interface Sample {
  readonly cycle: number;
  readonly rssKib: number;
  readonly descriptors: number;
}

const lane = await Lane.make();
try {
  const { pid } = lane.daemon;
  const samples: Sample[] = [];
  const begunMs = performance.now();
  let begun = 0, ended = 0;
  const work = async () => {
    for (let cycle = begun++; cycle < cycles; cycle = begun++) {
      await oneCycle(`soak-${cycle}`);
      if (++ended % sampleEvery === 0) samples.push(sampleOf(pid, ended));
      if (ended % 500 === 0) report(samples, performance.now() - begunMs);
    }
  };
  await oneCycle("warm");
  const first = sampleOf(pid, 0);
  await Promise.all(Array.from({ length: lanes }, work));
  const last = await settled(pid, first);
  const slope = slopeOf(samples.slice(Math.floor(samples.length / 2)));
  const grown = last.descriptors - first.descriptors;
  say(`${cycles} cycles in ${Math.round((performance.now() - begunMs) / 1000)} s`);
  say(`RSS ${mib(first)} MiB at first, ${mib(last)} MiB at last`);
  say(
    `slope of the second half: ${slope.toFixed(2)} KiB a cycle; ${
      verdict(slope, targets.slopeKib)
    }`,
  );
  say(
    `descriptors: ${first.descriptors} at first, ${last.descriptors} at last; ` +
      verdict(grown, targets.descriptors),
  );
} finally {
  await lane[Symbol.asyncDispose]();
}

async function oneCycle(name: string): Promise<void> {
  await lane.done("vm.create", createParams({ name }));
  await lane.done("vm.start", { vm: name });
  await lane.done("vm.stop", { vm: name, timeoutMs: null, force: false });
  await lane.done("vm.delete", { vm: name, force: false });
}

function sampleOf(pid: number, cycle: number): Sample {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return {
    cycle,
    rssKib: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]),
    descriptors: [...Deno.readDirSync(`/proc/${pid}/fd`)].length,
  };
}

/** What ends by itself may take a moment. */
async function settled(pid: number, first: Sample): Promise<Sample> {
  for (let turn = 0;; turn++) {
    const sample = sampleOf(pid, cycles);
    if (sample.descriptors <= first.descriptors || turn === 50) return sample;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** KiB a cycle, of the line through the samples. */
function slopeOf(samples: readonly Sample[]): number {
  const mean = (of: (sample: Sample) => number) =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [x, y] = [mean(({ cycle }) => cycle), mean(({ rssKib }) => rssKib)];
  const spread = mean(({ cycle }) => (cycle - x) ** 2);
  return mean(({ cycle, rssKib }) => (cycle - x) * (rssKib - y)) / spread;
}

function report(samples: readonly Sample[], tookMs: number): void {
  const last = samples.at(-1)!;
  const slope = slopeOf(samples.slice(Math.floor(samples.length / 2)));
  say(
    `${last.cycle} cycles, ${Math.round(tookMs / last.cycle)} ms each: RSS ${mib(last)} MiB, ` +
      `${slope.toFixed(2)} KiB a cycle, ${last.descriptors} descriptors`,
  );
}

function mib({ rssKib }: Sample): string {
  return (rssKib / 1024).toFixed(1);
}

function verdict(value: number, target: number): string {
  return `target ${target}: ${value <= target ? "met" : "missed"}`;
}
