/**
 * handles.json in every broken form while the daemon is away: it is made again from the process table, the VM is
 * taken over as it runs, and no process that a broken file names is ever signalled.
 */
import assert from "node:assert/strict";
import { parseProcStat } from "../../src/process/proc_stat.ts";
import type { Banger } from "../support/banger.ts";
import { daemonPid, until, vmmPids, vmsOf } from "../support/end_to_end.ts";
import type { FakeHome } from "../support/fake_vmm/fake_home.ts";
import { fakeVmTest, nothingRuns } from "../support/fake_vmm/fake_test.ts";

/** What a broken file can be made of. */
interface Materials {
  /** The path of the file. */
  readonly path: string;
  /** What was in it. */
  readonly good: Handles;
  /** The file of another VM that runs. */
  readonly other: string;
  /** A process that is nobody's VM, as a handle that fits it. */
  readonly bystander: Handle;
  /** A file somewhere else, which nobody may change. */
  readonly canary: string;
}

interface Handle {
  readonly pid: number;
  readonly startTicks: number;
}

interface Handles {
  readonly machine: { readonly process: Handle };
  readonly passt: Handle;
  readonly netFilter: Handle;
}

/** The good handles, but all of the processes are this one. */
function allAre({ good }: Materials, process: Handle): string {
  return JSON.stringify({
    ...good,
    machine: { ...good.machine, process },
    passt: process,
    netFilter: process,
  });
}

const forms: Readonly<Record<string, (it: Materials) => Promise<void>>> = {
  "missing": ({ path }) => Deno.remove(path),
  "empty": ({ path }) => Deno.writeTextFile(path, ""),
  "truncated": ({ path, good }) => Deno.writeTextFile(path, JSON.stringify(good).slice(0, 100)),
  "of another VM": ({ path, other }) => Deno.copyFile(other, path),
  "of pid 1": (it) => Deno.writeTextFile(it.path, allAre(it, { pid: 1, startTicks: 0 })),
  "of a recycled pid": (it) =>
    Deno.writeTextFile(it.path, allAre(it, { ...it.bystander, startTicks: 1 })),
  "of a process that is no VMM": (it) => Deno.writeTextFile(it.path, allAre(it, it.bystander)),
  "of processes that have ended": (it) =>
    Deno.writeTextFile(it.path, allAre(it, { pid: 4_000_000, startTicks: 1 })),
  "of 100 MB": async ({ path }) => {
    await Deno.truncate(path, 0);
    await Deno.truncate(path, 100_000_000);
  },
  "a symlink": async ({ path, canary }) => {
    await Deno.remove(path);
    await Deno.symlink(canary, path);
  },
  "a directory": async ({ path }) => {
    await Deno.remove(path);
    await Deno.mkdir(`${path}/inner`, { recursive: true });
  },
  "a FIFO": async ({ path }) => {
    await Deno.remove(path);
    assert.ok((await new Deno.Command("mkfifo", { args: [path] }).output()).success);
  },
  "not JSON": ({ path }) => Deno.writeTextFile(path, "\0\xff}{ handles"),
  "of wrong types": ({ path }) =>
    Deno.writeTextFile(path, '{"machine":7,"passt":"x","netFilter":[],"network":false}'),
  "of a future version": ({ path }) =>
    Deno.writeTextFile(path, '{"version":99,"processes":{"vmm":{"pidfd":3}}}'),
  "not readable": async ({ path, good }) => {
    await Deno.writeTextFile(path, JSON.stringify(good).slice(0, -5));
    await Deno.chmod(path, 0o000);
  },
};

async function startTicksOf(pid: number): Promise<number> {
  const stat = parseProcStat(await Deno.readTextFile(`/proc/${pid}/stat`));
  assert.ok(stat !== undefined);
  return stat.startTicks;
}

async function isAlive(pid: number): Promise<boolean> {
  const stat = parseProcStat(await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => ""));
  return stat !== undefined && stat.state !== "Z";
}

async function killDaemon(banger: Banger): Promise<void> {
  const pid = await daemonPid(banger);
  Deno.kill(pid, "SIGKILL");
  await until("the daemon is gone", async () => !await isAlive(pid), 3_000);
}

async function handlesOf({ paths }: FakeHome, id: string): Promise<Handles> {
  const path = paths.vm(id).handles;
  assert.ok((await Deno.lstat(path)).isFile);
  return JSON.parse(await Deno.readTextFile(path));
}

fakeVmTest(
  "handles.json is made again from the process table, whatever it is",
  async (banger, fake) => {
    for (const name of ["web", "other"]) {
      await banger.ok(["vm", "create", "--name", name]);
      await banger.ok(["vm", "start", name]);
    }
    const [web, other] = await vmsOf(banger);
    const [vmm] = await vmmPids(web!);
    const canary = `${fake.dir}/canary`;
    await Deno.writeTextFile(canary, "as it was");
    const sleeper = new Deno.Command("sleep", { args: ["600"] }).spawn();
    try {
      const good = await handlesOf(fake, web!.id);
      const materials: Materials = {
        ...{ path: fake.paths.vm(web!.id).handles, good, other: fake.paths.vm(other!.id).handles },
        bystander: { pid: sleeper.pid, startTicks: await startTicksOf(sleeper.pid) },
        canary,
      };
      for (const [form, make] of Object.entries(forms)) {
        await killDaemon(banger);
        await make(materials);
        const states = (await vmsOf(banger)).map(({ state, failure }) => [state, failure]);
        assert.deepEqual(states, [["running", null], ["running", null]], form);
        assert.deepEqual(await vmmPids(web!), [vmm], form);
        assert.deepEqual(await handlesOf(fake, web!.id), good, form);
        await banger.ok(["vm", "exec", "web", "--", "true"]);
      }
      // Nobody was signalled while it was stopped and deleted, either.
      await killDaemon(banger);
      await Deno.writeTextFile(materials.path, allAre(materials, materials.bystander));
      await banger.ok(["vm", "delete", "--force", "web", "other"]);
      await nothingRuns(banger, fake);
      assert.ok(await isAlive(sleeper.pid));
      assert.equal(await Deno.readTextFile(canary), "as it was");
    } finally {
      sleeper.kill("SIGKILL");
      await sleeper.status;
    }
  },
);

fakeVmTest("handles of a VM that rests name nobody who is signalled", async (banger, fake) => {
  await banger.ok(["vm", "create", "--name", "web"]);
  await banger.ok(["vm", "start", "web"]);
  const [web] = await vmsOf(banger);
  const good = await handlesOf(fake, web!.id);
  await banger.ok(["vm", "stop", "web"]);
  const sleeper = new Deno.Command("sleep", { args: ["600"] }).spawn();
  try {
    const bystander = { pid: sleeper.pid, startTicks: await startTicksOf(sleeper.pid) };
    const materials = {
      path: fake.paths.vm(web!.id).handles,
      good,
      bystander,
      canary: "",
      other: "",
    };
    await killDaemon(banger);
    await Deno.writeTextFile(materials.path, allAre(materials, bystander));
    const list = () => banger.ok(["daemon", "reconcile", "--json"]);
    assert.deepEqual(JSON.parse(await list()).mended, []);
    for (const verb of ["start", "stop"]) await banger.ok(["vm", verb, "web"]);
    assert.ok(await isAlive(sleeper.pid));
  } finally {
    sleeper.kill("SIGKILL");
    await sleeper.status;
  }
});
