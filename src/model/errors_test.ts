import assert from "node:assert/strict";
import { BangerError, reasonOf } from "./errors.ts";

Deno.test("whatever was thrown has words", () => {
  assert.equal(reasonOf(new BangerError("invalid", "Cannot x")), "Cannot x");
  assert.equal(reasonOf("text"), "text");
  assert.equal(reasonOf(undefined), "undefined");
  assert.equal(reasonOf(Symbol("s")), "Symbol(s)");
  for (const thrown of [{ toString: false }, Object.create(null), { toString: () => ({}) }]) {
    assert.equal(reasonOf(thrown), "a thrown object");
  }
});
