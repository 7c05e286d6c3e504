import assert from "node:assert/strict";
import fc from "fast-check";
import { compareVersions } from "./version.ts";

/** From the oldest to the newest (Debian Policy 5.6.12 and dpkg's own tests). */
const ascending = [
  "0~~",
  "0~~a",
  "0~",
  "0",
  "0-1",
  "1.0~rc1-1",
  "1.0",
  "1.0-1~deb12u1",
  "1.0-1",
  "1.0-1+b1",
  "1.0-10",
  "1.0a",
  "1.0+dfsg",
  "1.0.1",
  "1.9",
  "1.10",
  "6.1.176-1",
  "6.1.192-2",
  "1:0.1",
];

Deno.test("versions are ordered as Debian's policy says", () => {
  for (const [index, older] of ascending.entries()) {
    assert.equal(compareVersions(older, older), 0);
    for (const newer of ascending.slice(index + 1)) {
      assert.ok(compareVersions(older, newer) < 0, `${older} < ${newer}`);
      assert.ok(compareVersions(newer, older) > 0, `${newer} > ${older}`);
    }
  }
});

Deno.test("leading zeros and a missing epoch or revision make no difference", () => {
  assert.equal(compareVersions("1.02", "1.2"), 0);
  assert.equal(compareVersions("0:1.0", "1.0"), 0);
  assert.equal(compareVersions("1.0-0", "1.0"), 0);
});

Deno.test("the order is total: antisymmetric and transitive", () => {
  const version = fc.stringMatching(/^([0-9]:)?[0-9a-bA.~+]{1,6}(-[0-9a~]{1,3})?$/);
  fc.assert(fc.property(version, version, version, (a, b, c) => {
    assert.equal(Math.sign(compareVersions(a, b)) + Math.sign(compareVersions(b, a)), 0);
    const [low, middle, high] = [a, b, c].sort(compareVersions);
    assert.ok(compareVersions(low ?? "", middle ?? "") <= 0);
    assert.ok(compareVersions(low ?? "", high ?? "") <= 0);
  }));
});
