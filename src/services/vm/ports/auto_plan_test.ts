import assert from "node:assert/strict";
import fc from "fast-check";
import { AutoPlan, graceMs, openedPerS } from "./auto_plan.ts";

const nothing = { open: [], close: [], againMs: null };

Deno.test("a listener is forwarded when it comes, and some time after it has gone no more", () => {
  const plan = new AutoPlan((port) => port === 22);
  plan.observe([22, 3000, 8080], 0);
  assert.deepEqual(plan.next(0), { open: [3000, 8080], close: [], againMs: null });
  assert.deepEqual(plan.next(1), nothing);
  plan.observe([22, 8080], 1000);
  assert.deepEqual(plan.next(1000), { ...nothing, againMs: graceMs });
  plan.observe([8080], 3000);
  assert.deepEqual(plan.next(3000), { ...nothing, againMs: graceMs - 2000 });
  assert.deepEqual(plan.next(1000 + graceMs), { ...nothing, close: [3000] });
  plan.observe([3000, 8080], 9000);
  assert.deepEqual(plan.next(9000), { ...nothing, open: [3000] });
});

Deno.test("a program that is restarted in time keeps its port", () => {
  const plan = new AutoPlan(() => false);
  plan.observe([3000], 0);
  plan.next(0);
  plan.observe([], 1000);
  plan.observe([3000], 1000 + graceMs - 1);
  assert.deepEqual(plan.next(20_000), nothing);
});

Deno.test("one that cannot be opened is left alone until it comes back; one that is published gives way", () => {
  const published = new Set<number>();
  const plan = new AutoPlan((port) => published.has(port));
  plan.observe([80, 81], 0);
  assert.deepEqual(plan.next(0).open, [80, 81]);
  plan.failed(80);
  plan.observe([80, 81, 82], 2000);
  assert.deepEqual(plan.next(2000).open, [82]);
  published.add(81);
  assert.deepEqual(plan.next(3000), { ...nothing, close: [81] });
  plan.observe([], 4000);
  plan.observe([80], 5000);
  assert.deepEqual(plan.next(5000).open, [80]);
});

Deno.test("whatever the guest says, no more are open than allowed, and no more are opened in a second", () => {
  const port = fc.integer({ min: 1, max: 40 });
  const steps = fc.array(
    fc.record({ ports: fc.uniqueArray(port, { maxLength: 40 }), afterMs: fc.nat(3000) }),
    { maxLength: 60 },
  );
  fc.assert(fc.property(steps, fc.integer({ min: 1, max: 10 }), (steps, limit) => {
    const plan = new AutoPlan((port) => port === 22, limit);
    const open = new Set<number>();
    const openedAt: number[] = [];
    /** When each was last said to listen. */
    const seenAt = new Map<number, number>();
    let nowMs = 0;
    for (const { ports, afterMs } of steps) {
      nowMs += afterMs;
      plan.observe(ports, nowMs);
      const next = plan.next(nowMs);
      for (const port of next.close) {
        assert.ok(open.delete(port), "only what is open is closed");
        assert.ok(!ports.includes(port), "what listens stays open");
        assert.ok(seenAt.get(port)! + graceMs <= nowMs, "and what did a moment ago");
      }
      for (const port of next.open) {
        assert.ok(!open.has(port) && ports.includes(port) && port !== 22);
        open.add(port);
        openedAt.push(nowMs);
      }
      // An observation ends the time during which it listened.
      for (const port of open) if (ports.includes(port)) seenAt.set(port, nowMs);
      assert.ok(open.size <= limit);
      assert.ok(openedAt.filter((at) => at > nowMs - 1000).length <= openedPerS);
      assert.ok(next.againMs === null || next.againMs > 0);
    }
    // What still listens is open in the end, as far as there is room, however fast it came.
    const last = steps.at(-1)?.ports ?? [];
    for (let turn = 0; turn < 40; turn++) {
      const { open: more, close, againMs } = plan.next(nowMs);
      for (const port of close) open.delete(port);
      for (const port of more) open.add(port);
      if (againMs === null) break;
      nowMs += againMs;
    }
    const wanted = last.filter((port) => port !== 22);
    assert.equal(open.size, Math.min(limit, wanted.length));
    assert.ok([...open].every((port) => wanted.includes(port)));
  }));
});
