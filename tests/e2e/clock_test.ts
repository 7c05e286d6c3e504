/** The wall clock jumps by ten years, forth and back: nothing waits for it, and nothing is forgotten by it. */
import assert from "node:assert/strict";
import { isBuilt } from "../support/banger.ts";
import { canCompile } from "../support/fake_vmm/fake_vmm.ts";
import { skipUnless } from "../support/require.ts";
import { inspect } from "../faults/inspect.ts";
import { Lane } from "../faults/lane.ts";
import { createParams } from "../faults/vm_under_test.ts";

const tenYears = 10 * 365 * 24;
/** No verb takes longer, whatever the clock says, in milliseconds. */
const longestMs = 20_000;
const name = "web";
const stop = { vm: name, timeoutMs: 1_000, force: false };

const test = "clocks that jump by ten years hold nothing up, and no VM is lost";
const ignore = skipUnless(test, isBuilt(), "build/bin/banger is not built") ||
  skipUnless(test, await canCompile(), "gcc is not installed");

async function quickly(body: () => Promise<void>): Promise<void> {
  const begunMs = performance.now();
  await body();
  const tookMs = performance.now() - begunMs;
  assert.ok(tookMs < longestMs, `it took ${tookMs} ms`);
}

async function isWell(lane: Lane, state: string): Promise<void> {
  const vm = await lane.vm(name);
  assert.deepEqual([vm?.state, vm?.failure], [state, null]);
  assert.deepEqual(await inspect(lane), []);
}

Deno.test({
  name: test,
  ignore,
  fn: async () => {
    await using lane = await Lane.make();
    await lane.done("vm.create", createParams());
    // Between two starts of the daemon, in every order.
    for (const hours of [tenYears, -tenYears, 0]) {
      await lane.done("vm.start", { vm: name });
      await lane.down();
      await quickly(() => lane.up(undefined, hours));
      await isWell(lane, "running");
      await quickly(() => lane.done("vm.restart", stop));
      const { readyAfterMs, startedAtMs } = (await lane.vm(name))!;
      const wrongByMs = startedAtMs! - Date.now() - hours * 3_600_000;
      assert.ok(Math.abs(wrongByMs) < 60_000, `its clock is off by ${wrongByMs} ms more`);
      assert.ok(readyAfterMs! >= 0 && readyAfterMs! < longestMs, `ready after ${readyAfterMs} ms`);
      await quickly(() => lane.done("vm.stop", stop));
      await isWell(lane, "stopped");
    }
    // In the middle of what goes on.
    for (const hours of [tenYears, -tenYears, 0]) {
      for (const verb of ["vm.start", "vm.restart", "vm.stop"] as const) {
        await quickly(async () => {
          const done = verb === "vm.start"
            ? lane.done(verb, { vm: name })
            : lane.done(verb, { ...stop });
          await lane.daemon.setClock(hours);
          await done;
          await lane.daemon.setClock(0);
        });
      }
      await isWell(lane, "stopped");
    }
    const { operations } = await lane.call("operation.list", {});
    assert.ok(operations.every(({ state }) => state === "succeeded"));
    assert.ok(operations.length > 0);
  },
});
