import assert from "node:assert/strict";
import { type Answer, askProgram } from "./ask_program.ts";

const { signal } = new AbortController();
const ask = (script: string, options: { timeoutMs?: number; signal?: AbortSignal } = {}) =>
  askProgram("sh", ["-c", script], {
    ...{ stdin: new TextEncoder().encode("question"), maxStdoutBytes: 1000, timeoutMs: 20_000 },
    signal,
    ...options,
  });
const said = (answer: Answer) =>
  answer.kind === "answered" ? [answer.code, new TextDecoder().decode(answer.stdout)] : answer.kind;

Deno.test("a program is asked and answers, whatever its exit code", async () => {
  assert.deepEqual(said(await ask('cat; printf " $HOME"')), [0, "question "]);
  assert.deepEqual(said(await ask("echo no; exit 3")), [3, "no\n"]);
  assert.deepEqual(said(await ask("exit 0")), [0, ""]);
});

Deno.test("one that hangs, ignores SIGTERM or leaves a child with its stdout is not waited for", async () => {
  for (const script of ["trap '' TERM; sleep 5", "sleep 5 & exit 0", "exec >&-; sleep 5"]) {
    assert.equal(said(await ask(script, { timeoutMs: 300 })), "timeout");
  }
});

Deno.test("one that says too much is ended", async () => {
  assert.equal(said(await ask("yes")), "too_long");
});

Deno.test("it can be cancelled", async () => {
  const stop = new AbortController();
  const asked = ask("sleep 5", { signal: stop.signal });
  stop.abort(new Error("enough"));
  await assert.rejects(asked, /enough/);
});

Deno.test("a missing program is told", async () => {
  const options = { stdin: new Uint8Array(0), maxStdoutBytes: 1, timeoutMs: 1000, signal };
  await assert.rejects(() => askProgram("/no/such", [], options), /is not installed/);
});
