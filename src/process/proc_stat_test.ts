import assert from "node:assert/strict";
import fc from "fast-check";
import { isRunning, parseProcStat } from "./proc_stat.ts";

const tail = "S 1 42 42 0 -1 4194560 171 0 2 0 0 0 0 0 20 0 1 0 215847 2990080 403";

Deno.test("the name of a process may hold anything", () => {
  fc.assert(fc.property(fc.string({ maxLength: 15 }), (comm) => {
    const stat = parseProcStat(`42 (${comm}) ${tail}\n`);
    assert.deepEqual(stat, { pid: 42, comm, state: "S", session: 42, startTicks: 215847 });
  }));
});

Deno.test("garbage is no process", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    parseProcStat(text);
  }));
  for (const text of ["", "42", "42 (x)", "42 (x) S 1", `x (x) ${tail}`, `42 x ${tail}`]) {
    assert.equal(parseProcStat(text), undefined);
  }
});

Deno.test("a zombie does not run", () => {
  const stat = parseProcStat(`42 (x) ${tail}`.replace("S 1", "Z 1"));
  assert.ok(stat !== undefined && !isRunning(stat));
});
