import assert from "node:assert/strict";
import { PrivateHome, root, runProgram } from "./built_program.ts";

const bundleDir = `${root}/build/bundle/banger`;

/** Copies the bundle to `dir`; `change` may put something else in a file's place. */
async function copyBundle(
  dir: string,
  change: (name: string, text: string) => string,
): Promise<void> {
  for await (const { name } of Deno.readDir(bundleDir)) {
    const text = await Deno.readTextFile(`${bundleDir}/${name}`);
    await Deno.writeTextFile(`${dir}/${name}`, change(name, text));
  }
}

Deno.test("the CLI does not evaluate the daemon's code, the daemon does", async () => {
  await using home = await PrivateHome.make();
  let traps = 0;
  await copyBundle(home.path, (name, text) => {
    if (name !== "daemon.js") return text;
    traps += 1;
    return `throw new Error("the daemon was loaded");\n${text}`;
  });
  assert.equal(traps, 1, "the daemon is in a file of its own");
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

Deno.test("schemas are loaded only towards a daemon of another build", async () => {
  await using home = await PrivateHome.make();
  const code = `${home.path}/code`;
  await Deno.mkdir(code, { mode: 0o700 });
  let traps = 0;
  await copyBundle(code, (name, text) => {
    if (!name.startsWith("check_result-")) return text;
    traps += 1;
    return `throw new Error("schemas were loaded");\n${text}`;
  });
  assert.equal(traps, 1, "the check is in a file of its own");
  const run = (...args: string[]) =>
    runProgram(Deno.execPath(), [
      ...["run", "--no-config", "--allow-all", "--unstable-worker-options"],
      ...[`${code}/main.js`, ...args],
    ], { env: home.env });
  try {
    for (const args of [["vm", "list"], ["vm", "list", "--json"], ["daemon", "status"]]) {
      const ended = await run(...args);
      assert.equal(ended.code, 0, ended.err);
    }
    const ask = `${code}/ask.js`;
    const text = await Deno.readTextFile(ask);
    const other = text.replace(/("build\\*":\\*")[0-9a-f]{16}/, "$10000000000000000");
    assert.notEqual(other, text, "the build's fingerprint is there");
    await Deno.writeTextFile(ask, other);
    assert.match((await run("vm", "list")).err, /schemas were loaded/);
    await Deno.writeTextFile(ask, text);
  } finally {
    await run("daemon", "stop", "--force");
  }
});

Deno.test("a command that asks the daemon reads a handful of files", async () => {
  const imports = async (name: string): Promise<string[]> => {
    const text = await Deno.readTextFile(`${bundleDir}/${name}`);
    return [...text.matchAll(/\bfrom"\.\/([^"]+)"|\bimport"\.\/([^"]+)"/g)]
      .map(([, from, bare]) => from ?? bare ?? "");
  };
  const read = new Set(["main.js", "command.js", "ask.js"]);
  // A set goes on over what is added to it.
  for (const name of read) for (const from of await imports(name)) read.add(from);
  assert.ok(read.size <= 6, [...read].join(" "));
});
