import { RawClient } from "./raw_client.ts";
import type { BenchContext, BenchRow } from "./table.ts";

const lists = 30;
/** A start and 30 lists each: fewer pairs than of the quick rows. */
const memoryPairs = 7;
const settleMs = 2000;
const idleMs = 5000;

/**
 * Row 5: resident memory of the daemon after 30 lists over a bare socket server of Deno's with one
 * Worker, each started anew for every pair, and the daemon's CPU time while nothing happens.
 */
export async function* memoryRows(context: BenchContext): AsyncGenerator<BenchRow> {
  const own: number[] = [], floor: number[] = [], idle: number[] = [];
  for (let pair = 0; pair < memoryPairs; pair++) {
    await context.banger.run(["daemon", "stop", "--force"]);
    await context.banger.ok(["vm", "list"]);
    const bare = bareServer(context.paths.home);
    try {
      const pid = await listOften(context.paths.daemonSocket);
      await pause(settleMs);
      own.push(rssMib(pid));
      floor.push(rssMib(bare.pid));
      if (pair > 2) continue;
      const before = cpuTicks(pid);
      await pause(idleMs);
      idle.push(cpuTicks(pid) - before);
    } finally {
      bare.kill("SIGKILL");
      await bare.status;
    }
  }
  const name = `daemon's RSS, ${context.vmCount} VMs, after ${lists} lists`;
  yield { row: 5, name, own, floorName: "bare server", floor, unit: "MiB", target: 1.4 };
  const idleName = `daemon's CPU time in ${idleMs / 1000} s of nothing`;
  yield { row: 5, name: idleName, own: idle, floorName: "", floor: [], unit: "ticks", target: 0 };
}

/** Resolves to the daemon's pid. */
async function listOften(socket: string): Promise<number> {
  using client = await RawClient.connect(socket);
  for (let n = 0; n < lists; n++) await client.call("vm.list");
  return Number((await client.result("daemon.status"))["pid"]);
}

/** The floor: a server on a Unix socket in a Worker of a process that does nothing else. */
function bareServer(dir: string): Deno.ChildProcess {
  const worker = `${dir}/worker.js`;
  Deno.writeTextFileSync(
    worker,
    `const server = Deno.listen({ transport: "unix", path: "${dir}/bare-" + Deno.pid });
     for await (const conn of server) conn.readable.pipeTo(conn.writable).catch(() => {});`,
  );
  const main = `${dir}/main.js`;
  Deno.writeTextFileSync(main, `new Worker("file://${worker}", { type: "module" });`);
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-config", "--allow-all", main],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
}

function rssMib(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

/** User and system time of a process, in clock ticks (proc(5), fields 14 and 15). */
function cpuTicks(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).replace(/^.*\) /, "").split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
