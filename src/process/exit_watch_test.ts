import assert from "node:assert/strict";
import { ExitWatch } from "./exit_watch.ts";
import type { ProcessHandle } from "./host_processes.ts";

/** Processes that run until they are taken out, and how often each was looked at. */
function processes(...pids: readonly number[]) {
  const running = new Set(pids);
  const looks = new Map<number, number>();
  const watch = new ExitWatch(({ pid }) => {
    looks.set(pid, 1 + (looks.get(pid) ?? 0));
    return running.has(pid);
  });
  return { running, looks, watch };
}

const handle = (pid: number): ProcessHandle => ({ pid, startTicks: pid });
const never = new AbortController().signal;
const passed = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("one that has ended already is seen, too", async () => {
  const { watch } = processes();
  const sinceMs = performance.now();
  await watch.until(handle(2), never);
  watch.expectEnd(handle(3));
  await watch.until(handle(3), never);
  assert.ok(performance.now() - sinceMs < 2_000);
});

Deno.test("many that just run are looked at rarely, and each end is seen within half a second", async () => {
  const { running, looks, watch } = processes(2, 3);
  const ends: number[] = [];
  const all = [2, 3].map((pid) => watch.until(handle(pid), never).then(() => ends.push(pid)));
  await passed(200);
  assert.deepEqual([...looks.values()], []);
  running.delete(3);
  const sinceMs = performance.now();
  await all[1];
  assert.ok(performance.now() - sinceMs < 2_000);
  assert.deepEqual(ends, [3]);
  running.delete(2);
  await Promise.all(all);
});

Deno.test("one that was asked to end is looked at sooner, whether or not somebody waited before", async () => {
  const { running, looks, watch } = processes(2, 3, 4);
  const waited = watch.until(handle(2), never);
  watch.expectEnd(handle(2));
  watch.expectEnd(handle(3));
  const after = watch.until(handle(3), never);
  const first = watch.until(handle(4), never);
  const second = watch.until(handle(4), never);
  await passed(200);
  for (const pid of [2, 3, 4]) assert.ok(looks.get(pid)! > 1, `${pid}: ${looks.get(pid)}`);
  running.clear();
  await Promise.all([waited, after, first, second]);
});

Deno.test("who gives up is let go with his reason, and the others go on waiting", async () => {
  const { running, watch } = processes(2);
  const stop = new AbortController();
  const given = watch.until(handle(2), stop.signal);
  const going = watch.until(handle(2), never);
  stop.abort(new Error("enough"));
  await assert.rejects(given, /enough/);
  await assert.rejects(watch.until(handle(2), stop.signal), /enough/);
  running.delete(2);
  await going;
});
