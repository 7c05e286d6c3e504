import assert from "node:assert/strict";
import type { TerminationSignal } from "./context.ts";
import { TerminationSignals } from "./termination_signals.ts";

function fakeSource() {
  const listeners = new Map<TerminationSignal, () => void>();
  const ended: TerminationSignal[] = [];
  const signals = new TerminationSignals({
    listen: (signal, listener) => {
      assert.ok(!listeners.has(signal), `${signal} is listened to once`);
      listeners.set(signal, listener);
    },
    endBy: (signal) => ended.push(signal),
  });
  return { signals, ended, send: (signal: TerminationSignal) => listeners.get(signal)?.() };
}

Deno.test("a signal goes to whoever handles it when it is handed on", () => {
  const { signals, ended, send } = fakeSource();
  const got: string[] = [];
  const undoFirst = signals.on((signal) => got.push(`first ${signal}`));
  send("SIGINT");
  undoFirst();
  const undoSecond = signals.on((signal) => got.push(`second ${signal}`));
  const undoThird = signals.on((signal) => got.push(`third ${signal}`));
  send("SIGHUP");
  undoSecond();
  undoThird();
  assert.deepEqual(got, ["first SIGINT", "second SIGHUP", "third SIGHUP"]);
  assert.deepEqual(ended, []);
});

Deno.test("a signal that nobody handles any more ends the process instead of being lost", () => {
  const { signals, ended, send } = fakeSource();
  signals.on(() => assert.fail("it was undone"))();
  send("SIGTERM");
  assert.deepEqual(ended, ["SIGTERM"]);
});

Deno.test("one handler given twice is there until both are undone", () => {
  const { signals, ended, send } = fakeSource();
  let got = 0;
  const handler = () => void (got += 1);
  const undo = [signals.on(handler), signals.on(handler)];
  undo[0]?.();
  send("SIGINT");
  undo[1]?.();
  send("SIGINT");
  assert.equal(got, 1);
  assert.deepEqual(ended, ["SIGINT"]);
});
