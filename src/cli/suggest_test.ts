import assert from "node:assert/strict";
import { suggest } from "./suggest.ts";

Deno.test("a mistyped word is recognised, a foreign one is not", () => {
  const known = ["run", "create", "start", "stop", "delete", "list", "show"];
  assert.equal(suggest("lsit", known), "list");
  assert.equal(suggest("strat", known), "start");
  assert.equal(suggest("delte", known), "delete");
  assert.equal(suggest("del", known), "delete");
  assert.equal(suggest("banana", known), undefined);
  assert.equal(suggest("x".repeat(100_000), known), undefined);
});
