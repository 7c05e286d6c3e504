/**
 * Row 14 of the benchmarks: from the start of a daemon behind one that died by SIGKILL until its first answer, and until it has
 * taken over every VM and tells all of them, over what it cannot do without: the start of Deno, a look at the
 * processes, a connection to each VM and the rows. VMs run in the fake VMM.
 *
 * usage: deno run --allow-all --no-check tests/bench/reconcile_bench.ts [VMS] [PAIRS]     (200, 7)
 *
 * Needs build/bundle (make build) and gcc.
 */
import { DaemonClient } from "../../src/client/daemon_client.ts";
import { startDaemon } from "../../src/client/start_daemon.ts";
import { Store } from "../../src/store/store.ts";
import { runFlags } from "../../src/version/run_flags.ts";
import { Lane } from "../faults/lane.ts";
import { processesOf } from "../faults/inspect.ts";
import { createParams } from "../faults/vm_under_test.ts";
import { median } from "./table.ts";
import { report, say } from "./report.ts";

const vms = Number(Deno.args[0] ?? 200);
const pairs = Number(Deno.args[1] ?? 7);
/** VMs that are made at once. */
const atOnce = 4;
const target = 3;

const lane = await Lane.make();
/** The built program's own files are among these. */
const appDir = `${lane.fake.dir}/app`;
try {
  await Deno.writeTextFile(`${appDir}/empty.js`, "");
  let next = 0;
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (let n = next++; n < vms; n = next++) {
      await lane.done("vm.create", createParams({ name: `vm-${n}`, start: true }));
    }
  }));
  await lane.down();
  const first: number[] = [], list: number[] = [], floor: number[] = [];
  for (let pair = -1; pair < pairs; pair++) {
    const plain = await start();
    await kill(plain);
    const parts = await partsMs();
    if (pair < 0) continue;
    first.push(plain.firstMs);
    list.push(plain.listMs);
    floor.push(parts);
  }
  report("the floor's parts alone", floor, "ms");
  for (const [name, own] of [["first answer", first], ["first list of all", list]] as const) {
    const ratios = own.map((ms, n) => ms / floor[n]!);
    const ratio = median(ratios);
    report(`${name}, ${vms} VMs`, own, "ms");
    report("  over the floor, by pair", ratios, "×");
    say(`  target ${target} ×: ${ratio <= target ? "met" : "missed"} at ${ratio.toFixed(2)} ×`);
  }
} finally {
  await lane[Symbol.asyncDispose]();
}

/** A daemon of the built program, without what the lane's own has in front of it. */
interface Plain {
  readonly client: DaemonClient;
  readonly pid: number;
  /** From its start until it has answered a ping, and the list in which every VM runs. */
  readonly firstMs: number;
  readonly listMs: number;
}

/** Starts the daemon as the CLI does, and asks at once. */
async function start(): Promise<Plain> {
  const begunMs = performance.now();
  const link = await startDaemon({
    paths: lane.paths,
    command: {
      program: Deno.execPath(),
      args: ["run", ...runFlags, "--no-code-cache", `${appDir}/main.js`],
      env: { DENO_NO_UPDATE_CHECK: "1", DENO_DIR: `${appDir}/cache` },
    },
    env: { HOME: lane.paths.home, PATH: "/usr/local/bin:/usr/bin:/bin" },
    signal: new AbortController().signal,
  });
  const client = new DaemonClient(link);
  await client.call("daemon.ping", {});
  const firstMs = performance.now() - begunMs;
  const list = await client.call("vm.list", {});
  const listMs = performance.now() - begunMs;
  const running = list.vms.filter(({ state }) => state === "running").length;
  if (running !== vms) throw new Error(`${running} of ${vms} VMs run`);
  const { pid } = await client.call("daemon.status", {});
  return { client, pid, firstMs, listMs };
}

/** Kills it, and waits until it is gone. */
async function kill({ client, pid }: Plain): Promise<void> {
  client.close();
  Deno.kill(pid, "SIGKILL");
  for (const endMs = performance.now() + 5_000; performance.now() < endMs;) {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => ") Z");
    if (/\) [ZX]/.test(stat)) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error("the daemon does not die");
}

async function partsMs(): Promise<number> {
  const found = await processesOf(lane);
  const pids = [...found.values()].flatMap((
    { qemu, passt, filter },
  ) => [...qemu, ...passt, ...filter]);
  const ids = [...found.keys()];
  const begunMs = performance.now();
  await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-config", `${appDir}/empty.js`],
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
  return performance.now() - begunMs;
}
