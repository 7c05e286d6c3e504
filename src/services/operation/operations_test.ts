import assert from "node:assert/strict";
import type { OperationView } from "../../api/operation.ts";
import { BangerError, isBangerError } from "../../model/errors.ts";
import type { StageEvent } from "../../model/stages.ts";
import { maxRunning, Operations } from "./operations.ts";
import { recorderLimits } from "./stage_recorder.ts";

const tick = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
const never = new AbortController().signal;

/** Operations over an archive in memory and a clock that the test turns. */
function fixture() {
  const rows = new Map<string, OperationView>();
  const clock = { ms: 1_000 };
  const failures: unknown[] = [];
  const archive = {
    broken: false,
    save(operation: OperationView) {
      if (this.broken) throw new BangerError("exhausted", "full");
      rows.set(operation.id, structuredClone(operation));
    },
    find: (id: string) => rows.get(id),
    list: () => [...rows.values()].reverse(),
    prune: () => 0,
  };
  const operations = new Operations({
    archive,
    nowMs: () => 1_700_000_000_000 + clock.ms,
    monotonicMs: () => clock.ms,
    onArchiveFailure: (error) => failures.push(error),
  });
  return { operations, rows, clock, archive, failures };
}

Deno.test("stages, notices and result are recorded and kept", async () => {
  const { operations, rows, clock } = fixture();
  const id = operations.begin({ method: "vm.start", subject: "web" }, async (reporter) => {
    await reporter.stage({ id: "vm.boot", title: "Booting the VM" }, async () => {
      clock.ms += 250;
      await tick();
    });
    reporter.notice("KVM cannot be used");
    return { sshPort: 22 };
  });
  assert.equal(operations.view(id).state, "running");
  assert.equal(rows.get(id)?.state, "running");
  const view = await operations.watch(id, () => {}, never);
  assert.deepEqual(view.stages, [{
    id: "vm.boot",
    title: "Booting the VM",
    startedAfterMs: 0,
    tookMs: 250,
    outcome: "done",
  }]);
  assert.deepEqual(view.notices, ["KVM cannot be used"]);
  assert.deepEqual(view.result, { sshPort: 22 });
  assert.deepEqual(operations.view(id), view);
  assert.equal(operations.runningCount, 0);
});

Deno.test("watchers see the same events early, late and afterwards", async () => {
  const { operations, clock } = fixture();
  const gate = Promise.withResolvers<void>();
  const id = operations.begin({ method: "m", subject: "s" }, async (reporter) => {
    await reporter.stage({ id: "a", title: "A" }, async () => {
      clock.ms += 5;
      await gate.promise;
    });
    await reporter.stage({ id: "b", title: "B" }, () => Promise.resolve());
  });
  const early: StageEvent[] = [], late: StageEvent[] = [], after: StageEvent[] = [];
  const one = operations.watch(id, (event) => early.push(event), never);
  await tick();
  const two = operations.watch(id, (event) => late.push(event), never);
  gate.resolve();
  await Promise.all([one, two]);
  await operations.watch(id, (event) => after.push(event), never);
  assert.deepEqual(early.map((e) => e.type), [
    "stage_started",
    "stage_finished",
    "stage_started",
    "stage_finished",
  ]);
  assert.deepEqual(late, early);
  assert.deepEqual(after, early);
});

Deno.test("cancel reaches the body and the state tells it", async () => {
  const { operations } = fixture();
  const id = operations.begin(
    { method: "m", subject: "s" },
    (_, signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  );
  await tick();
  operations.cancel(id);
  const view = await operations.watch(id, () => {}, never);
  assert.equal(view.state, "cancelled");
  assert.equal(view.error?.kind, "cancelled");
  operations.cancel(id);
  assert.throws(() => operations.cancel("ffffffffffffffff"), (e) => isBangerError(e, "not_found"));
  await assert.rejects(operations.resultOf(id, never), (e) => isBangerError(e, "cancelled"));
});

Deno.test("a failing stage is recorded, a defect becomes internal", async () => {
  const { operations } = fixture();
  const id = operations.begin(
    { method: "m", subject: "s" },
    (reporter) => reporter.stage({ id: "a", title: "A" }, () => Promise.reject(new TypeError("x"))),
  );
  const view = await operations.watch(id, () => {}, never);
  assert.equal(view.state, "failed");
  assert.equal(view.stages[0]?.outcome, "failed");
  assert.equal(view.error?.kind, "internal");
});

Deno.test("a watcher that leaves does not stop the operation", async () => {
  const { operations } = fixture();
  const gate = Promise.withResolvers<string>();
  const id = operations.begin({ method: "m", subject: "s" }, () => gate.promise);
  const leave = new AbortController();
  const watch = operations.watch(id, () => {}, leave.signal);
  leave.abort();
  await assert.rejects(watch, (e) => isBangerError(e, "cancelled"));
  gate.resolve("done");
  assert.equal(await operations.resultOf(id, never), "done");
});

Deno.test("progress is passed on at most 20 times a second, the last one always", async () => {
  const { operations, clock } = fixture();
  const events: StageEvent[] = [];
  const id = operations.begin({ method: "m", subject: "s" }, async (reporter) => {
    await tick();
    await reporter.stage({ id: "a", title: "A" }, (progress) => {
      for (let done = 1; done <= 1000; done++) {
        clock.ms += 1;
        progress(done, 1000, "bytes");
      }
      return Promise.resolve();
    });
  });
  await operations.watch(id, (event) => events.push(event), never);
  const progress = events.filter((event) => event.type === "stage_progress");
  assert.ok(progress.length <= 1000 / recorderLimits.progressEveryMs + 2, `${progress.length}`);
  assert.equal(progress.at(-1)?.done, 1000);
});

Deno.test("records are bounded, and so are running operations", async () => {
  const { operations } = fixture();
  const id = operations.begin({ method: "m", subject: "s" }, async (reporter) => {
    for (let i = 0; i < 400; i++) {
      reporter.notice("n".repeat(5000));
      await reporter.stage({ id: `${i}`, title: "T" }, () => Promise.resolve());
    }
  });
  const view = await operations.watch(id, () => {}, never);
  assert.equal(view.stages.length, recorderLimits.stages);
  assert.equal(view.notices.length, recorderLimits.notices);
  assert.equal(view.notices[0]?.length, recorderLimits.noticeChars);
  const wait = (_: unknown, signal: AbortSignal) =>
    new Promise((resolve) => signal.addEventListener("abort", resolve));
  for (let i = 0; i < maxRunning; i++) operations.begin({ method: "m", subject: "s" }, wait);
  assert.throws(
    () => operations.begin({ method: "m", subject: "s" }, wait),
    (e) => isBangerError(e, "exhausted"),
  );
  assert.equal(await operations.drain(1000), true);
  assert.equal(operations.runningCount, 0);
});

Deno.test("a store that cannot be written refuses the start, and never hides the end", async () => {
  const { operations, archive, failures } = fixture();
  const gate = Promise.withResolvers<string>();
  const id = operations.begin({ method: "m", subject: "s" }, () => gate.promise);
  const watched = operations.watch(id, () => {}, never);
  archive.broken = true;
  gate.resolve("fine");
  assert.equal((await watched).state, "succeeded");
  assert.equal(failures.length, 1);
  assert.throws(
    () => operations.begin({ method: "m", subject: "s" }, () => Promise.resolve()),
    (e) => isBangerError(e, "exhausted"),
  );
});
