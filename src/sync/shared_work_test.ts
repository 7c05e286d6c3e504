import assert from "node:assert/strict";
import { SharedWork } from "./shared_work.ts";

const tick = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

/** Work that ends when told, and tells how often it was started and whether it was stopped. */
function gate() {
  const state = { started: 0, stopped: 0, open: (_value: string) => {} };
  const work = (signal: AbortSignal) =>
    new Promise<string>((resolve, reject) => {
      state.started++;
      state.open = resolve;
      signal.addEventListener("abort", () => {
        state.stopped++;
        reject(signal.reason);
      });
    });
  return { state, work };
}

Deno.test("two callers share one piece of work", async () => {
  const shared = new SharedWork<string>();
  const { state, work } = gate();
  const never = new AbortController().signal;
  const both = [shared.share("k", never, work), shared.share("k", never, work)];
  await tick();
  state.open("built");
  assert.deepEqual(await Promise.all(both), ["built", "built"]);
  assert.equal(state.started, 1);
  assert.equal(shared.has("k"), false);
});

Deno.test("one that leaves does not stop the others; the last one does", async () => {
  const shared = new SharedWork<string>();
  const { state, work } = gate();
  const stops = [new AbortController(), new AbortController()];
  const runs = stops.map((stop) => shared.share("k", stop.signal, work));
  stops[0]?.abort(new Error("one"));
  await assert.rejects(runs[0] ?? Promise.resolve(), /one/);
  await tick();
  assert.equal(state.stopped, 0);
  stops[1]?.abort(new Error("two"));
  await assert.rejects(runs[1] ?? Promise.resolve(), /two/);
  await tick();
  assert.equal(state.stopped, 1);
  assert.equal(shared.has("k"), false);
});

Deno.test("whoever comes while the work unwinds waits and starts it anew", async () => {
  const shared = new SharedWork<string>();
  let unwound = () => {};
  const slowUnwind = (signal: AbortSignal) =>
    new Promise<string>((_, reject) => {
      signal.addEventListener("abort", () => unwound = () => reject(signal.reason));
    });
  const stop = new AbortController();
  const first = shared.share("k", stop.signal, slowUnwind);
  stop.abort(new Error("left"));
  await assert.rejects(first, /left/);
  let started = false;
  const second = shared.share("k", new AbortController().signal, () => {
    started = true;
    return Promise.resolve("again");
  });
  await tick();
  assert.equal(started, false);
  unwound();
  assert.equal(await second, "again");
});

Deno.test("a failure reaches every waiter and is not kept", async () => {
  const shared = new SharedWork<string>();
  const never = new AbortController().signal;
  const fail = async () => {
    await tick();
    throw new Error("broken");
  };
  const runs = [shared.share("k", never, fail), shared.share("k", never, fail)];
  for (const run of runs) await assert.rejects(run, /broken/);
  assert.equal(await shared.share("k", never, () => Promise.resolve("ok")), "ok");
});
