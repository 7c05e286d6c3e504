/** The daemon is killed while VMs run or are made; the next one puts everything in order. */
import assert from "node:assert/strict";
import type { Banger } from "../support/banger.ts";
import {
  daemonPid,
  firstRunMs,
  guestProcesses,
  namesIn,
  until,
  vmmPids,
  vmsOf,
  vmTest,
  WatchedRun,
} from "../support/end_to_end.ts";

const sleeper = ["--", "sh", "-c", "echo it is up; exec sleep 300"];

function vmRun(banger: Banger, name: string, ...options: string[]): WatchedRun {
  const args = ["vm", "run", "--no-workspace", "--name", name, ...options, ...sleeper];
  return new WatchedRun(banger, args);
}

vmTest(
  "a daemon killed under vm run: the CLI says how to come back, the next one adopts",
  async (banger) => {
    const kept = vmRun(banger, "kept");
    const removed = vmRun(banger, "removed", "--rm");
    await Promise.all([kept.said(/it is up/, firstRunMs), removed.said(/it is up/, firstRunMs)]);
    const [vm] = (await vmsOf(banger)).filter(({ name }) => name === "kept");
    assert.ok(vm !== undefined);
    const before = await vmmPids(vm);
    assert.equal(before.length, 1);

    const first = await daemonPid(banger);
    Deno.kill(first, "SIGKILL");
    const codes = await Promise.all([kept.end(5_000), removed.end(5_000)]);
    assert.deepEqual(codes, [125, 125], kept.stderr + removed.stderr);
    assert.match(kept.stderr, /\nError: Lost the command in the guest/);
    assert.match(kept.stderr, /\n {2}hint: .*banger vm ssh kept/);

    assert.deepEqual((await vmsOf(banger)).map(({ name, state }) => [name, state]), [
      ["kept", "running"],
    ]);
    assert.notEqual(await daemonPid(banger), first);
    assert.deepEqual(await vmmPids(vm), before, "it is the same machine still");
    assert.equal(
      (await guestProcesses(banger)).filter((line) => /qemu-system/.test(line)).length,
      1,
    );
    assert.equal(await banger.ok(["vm", "exec", "kept", "--", "echo", "again"]), "again\n");
  },
);

vmTest("a daemon killed while it makes a VM: the next one leaves nothing of it", async (banger) => {
  await banger.ok(["vm", "list"]);
  const run = vmRun(banger, "half");
  await until(
    "its machine runs",
    async () => (await guestProcesses(banger)).length >= 2,
    firstRunMs,
  );
  Deno.kill(await daemonPid(banger), "SIGKILL");
  assert.equal(await run.end(5_000), 125, run.stderr);
  assert.match(run.stderr, /\nError: .*daemon.*\n {2}hint: /);

  assert.deepEqual(await vmsOf(banger), []);
  assert.deepEqual(await guestProcesses(banger), []);
  const { daemon } = JSON.parse(await banger.ok(["daemon", "status", "--json"]));
  assert.deepEqual(await namesIn(`${daemon.stateDir}/vms`), []);
});
