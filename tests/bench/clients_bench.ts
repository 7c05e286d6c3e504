/**
 * A thousand clients at once: each connects, asks, and stays connected until all have their answer. Prints how
 * long they waited, from the first connection of the round until each one's answer, and how many descriptors the
 * daemon has afterwards.
 *
 * usage: deno run --allow-all --no-check tests/bench/clients_bench.ts [CLIENTS] [ROUNDS]     (1000, 7)
 *
 * Needs build/bin/banger.
 */
import { Paths } from "../../src/paths/paths.ts";
import { Banger } from "../support/banger.ts";
import { fillStore } from "./fill_store.ts";
import { RawClient } from "./raw_client.ts";
import { at } from "./table.ts";
import { say } from "./report.ts";

const clients = Number(Deno.args[0] ?? 1000);
const rounds = Number(Deno.args[1] ?? 7);
const vmCount = 100;
const targetMs = 250;
const longestBytes = 16 * 1024;

const home = await Deno.makeTempDir({ prefix: "banger-bench-" });
const banger = new Banger(home);
const paths = new Paths({ uid: Deno.uid() ?? 0, home });
try {
  fillStore(paths, vmCount);
  const { pid } = JSON.parse(
    await banger.ok(["daemon", "status", "--json"], {}).catch(async () => {
      await banger.ok(["vm", "list"]);
      return await banger.ok(["daemon", "status", "--json"]);
    }),
  ).daemon;
  const baseline = descriptorsOf(pid);
  for (const [name, method] of [["ping", "daemon.ping"], ["list", "vm.overview"]] as const) {
    const connected: number[] = [], asked: number[] = [];
    for (let round = -1; round < rounds; round++) {
      const took = await oneRound(method);
      if (round < 0) continue;
      connected.push(...took.fromConnecting);
      asked.push(...took.ofCall);
    }
    report(`${clients} clients connect and ${name}`, connected);
    report(`${clients} connected clients ${name} at once`, asked);
  }
  const after = await settled(pid, baseline);
  say(
    `descriptors: ${baseline} before, ${after} afterwards: ${after <= baseline ? "met" : "missed"}`,
  );
} finally {
  await banger.run(["daemon", "stop", "--force"]);
  for (const dir of [home, paths.runtimeDir]) {
    await Deno.remove(dir, { recursive: true }).catch(() => {});
  }
}

/** Milliseconds of each client, and of a second call when all are connected. */
async function oneRound(
  method: string,
): Promise<{ readonly fromConnecting: number[]; readonly ofCall: number[] }> {
  const links: RawClient[] = [];
  try {
    const fromConnecting = await Promise.all(Array.from({ length: clients }, async () => {
      const begunMs = performance.now();
      const client = await RawClient.connect(paths.daemonSocket, longestBytes);
      links.push(client);
      await client.call(method);
      return performance.now() - begunMs;
    }));
    const ofCall = await Promise.all(links.map(async (client) => {
      const begunMs = performance.now();
      await client.call(method);
      return performance.now() - begunMs;
    }));
    return { fromConnecting, ofCall };
  } finally {
    for (const link of links) link[Symbol.dispose]();
    // The daemon sees their ends one after the other.
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function settled(pid: number, baseline: number): Promise<number> {
  for (let turn = 0;; turn++) {
    const now = descriptorsOf(pid);
    if (now <= baseline || turn === 50) return now;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function descriptorsOf(pid: number): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
}

function report(name: string, values: readonly number[]): void {
  const p99 = at(values, 0.99);
  say(
    `${name.padEnd(44)} median ${at(values, 0.5).toFixed(0)} ms, p99 ${p99.toFixed(0)} ms; ` +
      `target ${targetMs} ms: ${p99 <= targetMs ? "met" : "missed"}`,
  );
}
