import assert from "node:assert/strict";
import { isBangerError } from "../model/errors.ts";
import { run } from "./run.ts";

const sh = "/bin/sh";
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("output, the end of stderr and an allowed exit code are answered", async () => {
  const script = "cat; echo why >&2; exit 3";
  const stdin = new TextEncoder().encode("in");
  const { code, stdout, stderr } = await run(sh, ["-c", script], { stdin, okCodes: [3] });
  assert.deepEqual([code, text(stdout), stderr], [3, "in", "why\n"]);
});

Deno.test("a program at its limit gets SIGTERM and may tidy up", async () => {
  const file = await Deno.makeTempFile();
  try {
    const script = "trap 'echo tidy >\"$0\"; exit 0' TERM; while :; do sleep 0.02; done";
    await assert.rejects(
      run(sh, ["-c", script, file], { timeoutMs: 300 }),
      (error) => isBangerError(error, "timeout"),
    );
    assert.equal(await Deno.readTextFile(file), "tidy\n");
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("a program that ignores SIGTERM is killed", async () => {
  const begun = performance.now();
  const script = "trap '' TERM; while :; do sleep 0.02; done";
  await assert.rejects(
    run(sh, ["-c", script], { timeoutMs: 200 }),
    (error) => isBangerError(error, "timeout"),
  );
  assert.ok(performance.now() - begun < 20_000);
});

Deno.test("what a program leaves behind with its output does not hold up its end", async () => {
  const begun = performance.now();
  // The sleep keeps both pipes open long after the shell has gone; it ends by itself.
  const script = "sleep 30 & echo $! ; wait";
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 200);
  await assert.rejects(
    run(sh, ["-c", script], { signal: stop.signal }),
    (error) => isBangerError(error, "cancelled"),
  );
  assert.ok(performance.now() - begun < 20_000);
});

Deno.test("too much output is refused", async () => {
  await assert.rejects(
    run(sh, ["-c", "yes"], { maxStdoutBytes: 1_000 }),
    (error) => isBangerError(error, "exhausted"),
  );
});
