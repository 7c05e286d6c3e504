import assert from "node:assert/strict";
import { skipUnless } from "./require.ts";

Deno.test("a skip is reported with its reason, a test that can run is not", async () => {
  const report = await Deno.makeTempFile();
  const before = Deno.env.get("BANGER_TEST_SKIPS");
  Deno.env.set("BANGER_TEST_SKIPS", report);
  try {
    assert.equal(skipUnless("runs", true, "no reason"), false);
    assert.equal(skipUnless("boots", false, "qemu is not installed"), true);
    const lines = (await Deno.readTextFile(report)).trim().split("\n");
    assert.deepEqual(lines.map((line) => JSON.parse(line)), [
      { name: "boots", reason: "qemu is not installed" },
    ]);
  } finally {
    if (before === undefined) Deno.env.delete("BANGER_TEST_SKIPS");
    else Deno.env.set("BANGER_TEST_SKIPS", before);
    await Deno.remove(report);
  }
});
