import assert from "node:assert/strict";
import type { ImageRun } from "../../model/artefacts.ts";
import { withImageDefaults } from "./image_defaults.ts";

const exec = { argv: ["x"], cwd: null, env: {}, user: null, stdin: false };
const run: ImageRun = {
  env: ["PATH=/bin", "A=b=c", "A=last"],
  workingDir: "/srv",
  user: "app",
  entrypoint: [],
  cmd: [],
};

Deno.test("an image's variables, directory and user apply where the caller says nothing", () => {
  assert.deepEqual(withImageDefaults(exec, run), {
    ...exec,
    cwd: "/srv",
    user: "app",
    env: { PATH: "/bin", A: "last" },
  });
  assert.deepEqual(withImageDefaults(exec, null), exec);
  assert.deepEqual(withImageDefaults(exec, { ...run, env: [], workingDir: "", user: "" }), exec);
});

Deno.test("what the caller says wins, and a directory of its own is root's", () => {
  const own = { ...exec, cwd: "/root/work", env: { PATH: "/mine" } };
  assert.deepEqual(withImageDefaults(own, run), { ...own, env: { PATH: "/mine", A: "last" } });
  assert.equal(withImageDefaults({ ...own, user: "me" }, run).user, "me");
});
