import assert from "node:assert/strict";
import { PrivateHome, program, runProgram } from "./built_program.ts";

const version = (env: Record<string, string>) =>
  runProgram(program, ["version", "--json"], { env });

Deno.test("version --json tells what the build is", async () => {
  await using home = await PrivateHome.make();
  const { code, out } = await version(home.env);
  assert.equal(code, 0);
  const told = JSON.parse(out) as Record<string, unknown>;
  assert.match(String(told["version"]), /^\d+\.\d+\.\d+/);
  assert.match(String(told["commit"]), /^([0-9a-f]{12}(-dirty)?|unknown)$/);
  assert.equal(told["denoVersion"], Deno.version.deno);
  assert.ok(told["kind"] === "self-extracting" || told["kind"] === "compiled");
});

Deno.test("a HOME of 200 characters, and one with blanks, work", async () => {
  await using home = await PrivateHome.make();
  const long = `${home.path}/${"h".repeat(199 - home.path.length)}`;
  assert.equal(long.length, 200);
  for (const HOME of [long, `${home.path}/a b  c`, `${home.path}/*`]) {
    await Deno.mkdir(HOME, { mode: 0o700 });
    assert.deepEqual((({ code, err }) => ({ code, err }))(await version({ HOME })), {
      code: 0,
      err: "",
    }, HOME);
  }
});

Deno.test("XDG_CACHE_HOME goes before HOME, BANGER_RUNTIME_DIR before both", async () => {
  await using home = await PrivateHome.make();
  const xdg = `${home.path}/xdg`;
  const chosen = `${home.path}/chosen`;
  const mainJsBelow = async (dir: string) => {
    for await (const { name } of Deno.readDir(dir)) {
      if (await Deno.stat(`${dir}/${name}/main.js`).then(() => true, () => false)) return true;
    }
    return false;
  };
  assert.equal((await version({ HOME: "/nowhere", XDG_CACHE_HOME: xdg })).code, 0);
  assert.ok(await mainJsBelow(`${xdg}/banger/runtime`));
  const env = { HOME: "/nowhere", XDG_CACHE_HOME: "/nowhere", BANGER_RUNTIME_DIR: chosen };
  assert.equal((await version(env)).code, 0);
  assert.ok(await mainJsBelow(chosen));
});
