import assert from "node:assert/strict";
import fc from "fast-check";
import { isBangerError } from "./errors.ts";
import { hasLabels, labelProblem, parseLabel } from "./labels.ts";

Deno.test("a label is KEY=VALUE or KEY; the first = divides", () => {
  assert.deepEqual(parseLabel("team=web"), ["team", "web"]);
  assert.deepEqual(parseLabel("ci"), ["ci", ""]);
  assert.deepEqual(parseLabel("example.org/a-b=c=d"), ["example.org/a-b", "c=d"]);
});

Deno.test("keys and values that could do harm or be mistaken are refused", () => {
  const bad = [
    "",
    "=x",
    "-a=b",
    "a-=b",
    "a b=c",
    "a=b\nc",
    "a=\x1b[2J",
    "a=\u009b",
    `${"k".repeat(64)}=v`,
  ];
  for (const text of [...bad, `k=${"v".repeat(257)}`, "__proto__ =x", "é=1"]) {
    assert.throws(() => parseLabel(text), (error) => isBangerError(error, "invalid"), text);
  }
});

Deno.test("what is parsed is what was written", () => {
  const key = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,20}[A-Za-z0-9]$/);
  const value = fc.string({ maxLength: 200 }).filter((text) =>
    labelProblem("k", text) === undefined
  );
  fc.assert(fc.property(key, value, (key, value) => {
    assert.deepEqual(parseLabel(`${key}=${value}`), [key, value]);
  }));
});

Deno.test("all of the wanted labels must be there; no key is inherited", () => {
  const labels = { team: "web", ci: "" };
  assert.ok(hasLabels(labels, []));
  assert.ok(hasLabels(labels, [["team", "web"], ["ci", null]]));
  assert.ok(!hasLabels(labels, [["team", "db"]]));
  assert.ok(!hasLabels(labels, [["toString", null]]));
});
