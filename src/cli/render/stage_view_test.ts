import assert from "node:assert/strict";
import { FakeOutput } from "../testdata/fake_context.ts";
import { StageView } from "./stage_view.ts";

const boot = { id: "vm.boot", title: "Booting the VM" };

function view(isTerminal: boolean, silent = false) {
  const err = new FakeOutput(isTerminal);
  const clock = { nowMs: 0 };
  return { err, clock, view: new StageView({ err, nowMs: () => clock.nowMs, silent }) };
}

Deno.test("off a terminal each finished stage is one plain line", () => {
  const { err, view: stages } = view(false);
  stages.event({ type: "stage_started", stage: boot, atMs: 0 });
  stages.event({
    type: "stage_progress",
    stageId: "vm.boot",
    done: 1,
    total: 2,
    unit: "items",
    note: null,
  });
  stages.event({ type: "notice", text: "KVM cannot be used" });
  stages.event({
    type: "stage_finished",
    stageId: "vm.boot",
    atMs: 1,
    tookMs: 2900,
    outcome: "done",
  });
  stages.event({ type: "stage_finished", stageId: "unknown", atMs: 1, tookMs: 1, outcome: "done" });
  assert.equal(err.text, "note: KVM cannot be used\n==> Booting the VM … done (2.9 s)\n");
  assert.deepEqual(stages.records, [{ title: "Booting the VM", tookMs: 2900, outcome: "done" }]);
});

Deno.test("on a terminal running stages are redrawn with time, bytes and note, and leave one line", () => {
  const { err, clock, view: stages } = view(true);
  stages.event({ type: "stage_started", stage: boot, atMs: 0 });
  clock.nowMs = 1500;
  const note = "un\x1b[31mpacking";
  stages.event({
    type: "stage_progress",
    stageId: "vm.boot",
    done: 1024,
    total: 4096,
    unit: "bytes",
    note,
  });
  stages.event({ type: "notice", text: "hello" });
  assert.ok(err.text.includes("Booting the VM  1.5 s  1 KiB / 4 KiB (25 %)  un\\x1b[31mpacking\n"));
  stages.event({
    type: "stage_finished",
    stageId: "vm.boot",
    atMs: 1,
    tookMs: 2900,
    outcome: "failed",
  });
  assert.ok(
    err.text.endsWith("\x1b[1A\r\x1b[J✗ Booting the VM failed, 2.9 s\n"),
    JSON.stringify(err.text),
  );
  stages.close();
});

Deno.test("a silent view shows nothing and still records; a failing body is recorded as failed", async () => {
  const { err, view: stages } = view(true, true);
  await assert.rejects(stages.stage("Copying", () => Promise.reject(new Error("no"))));
  assert.equal(err.text, "");
  assert.equal(stages.records[0]?.outcome, "failed");
});
