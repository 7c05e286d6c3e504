import assert from "node:assert/strict";
import { release } from "../../scripts/build/release.ts";

Deno.test("a release is never self-extracting: without base binaries it is refused", async () => {
  const said: string[] = [];
  const neverBundled = () => Promise.reject(new Error("it was built all the same"));
  for (
    const bins of [
      { x86_64: undefined, aarch64: undefined },
      { x86_64: "/opt/denort", aarch64: undefined },
    ]
  ) {
    const code = await release(bins, "/nowhere", [], neverBundled, (line) => said.push(line));
    assert.equal(code, 2);
  }
  assert.match(said[0] ?? "", /^Cannot build "release": /);
  assert.match(said[1] ?? "", /^hint: set DENORT_BIN_X86_64 and DENORT_BIN_AARCH64/);
});
