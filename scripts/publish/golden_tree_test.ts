import assert from "node:assert/strict";
import { run } from "../../src/process/run.ts";
import { goldenRecipes, goldenTree, treePath } from "./golden_tree.ts";

const root = new URL("../..", import.meta.url).pathname;

for (const recipe of goldenRecipes) {
  Deno.test(`${treePath(recipe)} is what its recipe gives`, async () => {
    const hint = "run: .tools/bin/deno run --allow-all scripts/publish/golden_tree.ts";
    assert.equal(await Deno.readTextFile(`${root}${treePath(recipe)}`), goldenTree(recipe), hint);
  });

  Deno.test(`${treePath(recipe)} is a shell program that says how it is used`, async () => {
    const { stderr } = await run("/bin/sh", [`${root}${treePath(recipe)}`], { okCodes: [2] });
    assert.match(stderr, /^usage: tree.sh MIRROR KEYRING ROOT/);
  });
}
