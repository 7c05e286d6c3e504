import assert from "node:assert/strict";
import { isBangerError } from "../model/errors.ts";
import { runLeashed } from "./run_leashed.ts";

const base = { timeoutMs: 10_000, maxStdoutBytes: 1024 };
const never = new AbortController().signal;

Deno.test("lines of stderr come as they are printed, stdout and the exit code at the end", async () => {
  const lines: string[] = [];
  const result = await runLeashed("sh", [
    "-c",
    "echo one >&2; printf 'two\\rthree' >&2; echo out; exit 3",
  ], {
    ...base,
    signal: never,
    onLine: (line) => lines.push(line),
  });
  assert.deepEqual(lines, ["one", "two", "three"]);
  assert.equal(result.code, 3);
  assert.equal(result.endedBy, null);
  assert.equal(new TextDecoder().decode(result.stdout), "out\n");
  assert.equal(result.stderr, "one\ntwo\nthree");
});

Deno.test("stdin stays open while the program runs", async () => {
  // `read` would end at once on a closed stdin.
  const result = await runLeashed("sh", [
    "-c",
    "exec 3<&0; (read x <&3; echo closed) & sleep 0.2; kill $!",
  ], {
    ...base,
    signal: never,
    onLine: () => {},
  });
  assert.equal(new TextDecoder().decode(result.stdout), "");
});

Deno.test("an abort ends a program that ignores SIGTERM", async () => {
  const stop = new AbortController();
  const running = runLeashed("sh", ["-c", "trap '' TERM; echo up >&2; exec sleep 30"], {
    ...base,
    signal: stop.signal,
    onLine: () => stop.abort(),
  });
  await assert.rejects(running, (error) => isBangerError(error, "cancelled"));
});

Deno.test("time and output are bounded", async () => {
  const bounded = (args: string[], timeoutMs: number) =>
    runLeashed("sh", args, { ...base, timeoutMs, signal: never, onLine: () => {} });
  await assert.rejects(bounded(["-c", "exec sleep 30"], 50), (e) => isBangerError(e, "timeout"));
  await assert.rejects(bounded(["-c", "exec yes"], 5000), (e) => isBangerError(e, "exhausted"));
});

Deno.test("a program that is not installed is told so", async () => {
  const running = runLeashed("no-such-program", [], { ...base, signal: never, onLine: () => {} });
  await assert.rejects(running, (error) => isBangerError(error, "precondition"));
});
