import assert from "node:assert/strict";
import fc from "fast-check";
import { nameProblem } from "../../model/names.ts";
import { freeName } from "./free_name.ts";

Deno.test("any workspace name gives a valid free VM name", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), fc.nat(5), (workspace, count) => {
    const taken = new Set<string>();
    for (let n = 0; n <= count; n++) {
      const name = freeName(workspace, taken);
      assert.equal(nameProblem("VM", name), undefined);
      assert.ok(!taken.has(name));
      taken.add(name);
    }
  }));
});

Deno.test("names are made as a user would make them", () => {
  assert.equal(freeName("My Repo", new Set()), "my-repo");
  assert.equal(freeName("web", new Set(["web", "web-2"])), "web-3");
  assert.equal(freeName(null, new Set()), "vm");
  assert.equal(freeName("…", new Set(["vm"])), "vm-2");
});
