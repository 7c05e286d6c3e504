import assert from "node:assert/strict";
import { PrivateHome, root, runProgram } from "./built_program.ts";

const bundleDir = `${root}/build/bundle/banger`;

Deno.test("the CLI does not evaluate the daemon's code, the daemon does", async () => {
  await using home = await PrivateHome.make();
  let traps = 0;
  for await (const { name } of Deno.readDir(bundleDir)) {
    const text = await Deno.readTextFile(`${bundleDir}/${name}`);
    const isDaemons = /^\/\/ src\/daemon\/main\.ts$/m.test(text);
    if (isDaemons) traps += 1;
    const trap = isDaemons ? 'throw new Error("the daemon was loaded");\n' : "";
    await Deno.writeTextFile(`${home.path}/${name}`, trap + text);
  }
  assert.equal(traps, 1, "the daemon's main file is in a file of its own");
  const run = (...args: string[]) =>
    runProgram(Deno.execPath(), [
      "run",
      "--no-config",
      "--allow-all",
      `${home.path}/main.js`,
      ...args,
    ], { env: home.env });
  const help = await run("--help");
  assert.deepEqual({ code: help.code, err: help.err }, { code: 0, err: "" });
  const daemon = await run("daemon", "run");
  assert.notEqual(daemon.code, 0);
  assert.match(daemon.err, /the daemon was loaded/);
});
