import assert from "node:assert/strict";
import { isBangerError } from "../model/errors.ts";
import { runtimeAssets } from "./runtime_assets.ts";

Deno.test("run from source, the agent's bundle is the last build's, or the hint is to build", async () => {
  const bundle = new URL("../../build/kit/agent.js", import.meta.url).pathname;
  const isBuilt = await Deno.stat(bundle).then(() => true, () => false);
  if (isBuilt) {
    const assets = runtimeAssets();
    assert.equal(assets.denoBinary, Deno.execPath());
    assert.equal(await Deno.realPath(assets.agentBundle), await Deno.realPath(bundle));
  } else {
    assert.throws(
      runtimeAssets,
      (error) => isBangerError(error, "precondition") && error.hint === "make build",
    );
  }
});
