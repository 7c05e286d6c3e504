/** Directories that are not as they should be. */
import assert from "node:assert/strict";
import { Banger } from "../support/banger.ts";
import { freshTest, namesIn, needsRoot, refused } from "../support/end_to_end.ts";

freshTest(
  "a file, or another user's directory, where the state directory should be",
  async (banger) => {
    const parent = `${banger.home}/.local/state`;
    const state = `${parent}/banger`;
    const run = ["vm", "run", "--no-workspace", "--", "true"];
    await Deno.mkdir(parent, { recursive: true });
    await Deno.writeTextFile(state, "mine");
    for (const [args, code] of [[["vm", "list"], 5], [run, 125]] as const) {
      await refused(
        banger,
        args,
        code,
        /Cannot use directory ".*state\/banger": it is not a dir.*\n {2}hint/,
      );
    }
    assert.equal(await Deno.readTextFile(state), "mine");
    assert.match((await banger.run(["doctor"])).stdout, /FAIL state-dir/);
    await Deno.remove(state);

    await Deno.mkdir(state);
    await Deno.chown(state, 65534, 65534);
    for (const [args, code] of [[["vm", "list"], 5], [run, 125]] as const) {
      await refused(
        banger,
        args,
        code,
        /Cannot use directory ".*state\/banger": it belongs to user 65534\n/,
      );
    }
    assert.deepEqual(await namesIn(state), []);
    await Deno.remove(state);
    await banger.ok(["vm", "list"]);
  },
  needsRoot,
);

freshTest("without HOME there is a plain answer, not a crash", async (banger) => {
  const bare = new Banger(banger.home, { via: ["env", "-u", "HOME", "-u", "BANGER_RUNTIME_DIR"] });
  const { code, stderr } = await bare.run(["vm", "list"]);
  assert.equal(code, 5);
  assert.match(stderr, /^banger: Cannot start "banger": neither HOME nor .* is set\nhint: /);
});
