import assert from "node:assert/strict";
import { runBounded } from "./run_bounded.ts";

const options = { cwd: "/", env: {}, limitMs: 20_000 };

Deno.test("a program's success and failure are told apart", async () => {
  assert.equal(await runBounded("/bin/sh", ["-c", "exit 0"], options), "success");
  assert.equal(await runBounded("/bin/sh", ["-c", "exit 3"], options), "failure");
});

Deno.test("a program that does not end is ended", async () => {
  const end = await runBounded("/bin/sh", ["-c", "exec sleep 30"], { ...options, limitMs: 50 });
  assert.equal(end, "timeout");
});
