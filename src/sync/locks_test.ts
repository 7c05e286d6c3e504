import assert from "node:assert/strict";
import fc from "fast-check";
import { Locks } from "./locks.ts";

const none = undefined;
const tick = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

Deno.test("one at a time by key, in order of arrival; other keys go on", async () => {
  const locks = new Locks();
  const seen: string[] = [];
  const work = (key: string, name: string) =>
    locks.hold("vm", key, none, async () => {
      seen.push(`+${name}`);
      await tick();
      seen.push(`-${name}`);
    });
  await Promise.all([work("a", "1"), work("a", "2"), work("b", "3")]);
  assert.ok(seen.indexOf("-1") < seen.indexOf("+2"));
  assert.ok(seen.indexOf("+3") < seen.indexOf("-1"));
  assert.equal(locks.busy("vm", "a"), false);
});

Deno.test("ranks are asserted across awaits", async () => {
  const locks = new Locks();
  const inner = (kind: "vm" | "workspace" | "create_vm" | "leaf") => async () => {
    await tick();
    await locks.hold(kind, "y", none, () => Promise.resolve());
  };
  await locks.hold("vm", "x", none, inner("create_vm"));
  await locks.hold("workspace", "x", none, inner("leaf"));
  await assert.rejects(locks.hold("vm", "x", none, inner("vm")), /vm\[x\] is held/);
  await assert.rejects(locks.hold("vm", "x", none, inner("workspace")), /is held/);
  await assert.rejects(locks.hold("workspace", "x", none, inner("vm")), /is held/);
  await assert.rejects(locks.hold("create_vm", "", none, inner("vm")), /is held/);
  await locks.hold("vm", "x", none, () => Promise.resolve());
});

Deno.test("work left behind by a holder does not count as holding", async () => {
  const locks = new Locks();
  let late: Promise<void> = Promise.resolve();
  await locks.hold("leaf", "x", none, async () => {
    late = (async () => {
      await tick();
      await locks.hold("vm", "x", none, () => Promise.resolve());
    })();
    await Promise.resolve();
  });
  await late;
});

Deno.test("an aborted wait gives up its place and leaves nothing", async () => {
  const locks = new Locks();
  const stop = new AbortController();
  let open = () => {};
  const first = locks.hold("vm", "a", none, () => new Promise<void>((resolve) => open = resolve));
  const second = locks.hold("vm", "a", stop.signal, () => Promise.resolve());
  const third = locks.hold("vm", "a", none, () => Promise.resolve("third"));
  await tick();
  stop.abort(new Error("left"));
  await assert.rejects(second, /left/);
  open();
  await first;
  assert.equal(await third, "third");
  assert.equal(locks.busy("vm", "a"), false);
});

Deno.test("never two holders, whatever aborts and fails", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ abort: fc.boolean(), fail: fc.boolean(), ticks: fc.nat(3) }), {
        maxLength: 12,
      }),
      async (plan) => {
        const locks = new Locks();
        let holders = 0;
        const runs = plan.map(async (step) => {
          const stop = new AbortController();
          const run = locks.hold("vm", "k", stop.signal, async () => {
            assert.equal(++holders, 1);
            for (let i = 0; i < step.ticks; i++) await Promise.resolve();
            holders--;
            if (step.fail) throw new Error("failed");
          });
          if (step.abort) stop.abort(new Error("left"));
          await run;
        });
        const results = await Promise.allSettled(runs);
        for (const result of results) {
          if (result.status === "rejected") assert.match(String(result.reason), /left|failed/);
        }
        assert.equal(locks.busy("vm", "k"), false);
      },
    ),
    { numRuns: 100 },
  );
});
