import assert from "node:assert/strict";
import { skipUnless } from "../support/require.ts";
import { root, runProgram } from "./built_program.ts";

const env = { HOME: Deno.env.get("HOME") ?? "/" };

Deno.test("the set-up has nothing to do the second time, and says so fast", async () => {
  assert.equal((await runProgram(`${root}/scripts/setup.sh`, [], { env })).code, 0);
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const startedMs = performance.now();
    const { code, out, err } = await runProgram(`${root}/scripts/setup.sh`, [], { env });
    times.push(performance.now() - startedMs);
    assert.deepEqual({ code, out, err }, { code: 0, out: "", err: "" });
  }
  assert.ok(Math.min(...times) < 300, `took ${times.map(Math.round).join(", ")} ms`);
});

const name = "the shell scripts pass shellcheck";
const shellcheck = "/usr/bin/shellcheck";
const isInstalled = await Deno.stat(shellcheck).then(() => true, () => false);
Deno.test({
  name,
  ignore: skipUnless(name, isInstalled, "shellcheck is not installed"),
  async fn() {
    const scripts = [`${root}/.ci/run`];
    for (const dir of [`${root}/scripts`, `${root}/scripts/build`, `${root}/scripts/publish`]) {
      for await (const file of Deno.readDir(dir)) {
        if (file.name.endsWith(".sh")) scripts.push(`${dir}/${file.name}`);
      }
    }
    const { code, out } = await runProgram(shellcheck, scripts, { env });
    assert.equal(code, 0, out);
  },
});
