import assert from "node:assert/strict";
import { buildInfo } from "./build_info.ts";

Deno.test("run from source, the build tells so, with the version of deno.json", async () => {
  const config = JSON.parse(
    await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
  ) as { version: string };
  assert.deepEqual(buildInfo(), {
    version: config.version,
    commit: "unknown",
    denoVersion: Deno.version.deno,
    kind: "source",
    build: null,
  });
});

Deno.test("the place for the stamp is in the source exactly once", async () => {
  // The build replaces every occurrence; a second one would be code that compares with it.
  const source = await Deno.readTextFile(new URL("./build_info.ts", import.meta.url));
  assert.equal(source.split('"@@BANGER_BUILD_INFO@@"').length, 2);
});
