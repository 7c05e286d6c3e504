import assert from "node:assert/strict";
import { skipUnless } from "../support/require.ts";
import { type Finished, isRoot, PrivateHome, program, runProgram } from "./built_program.ts";

const nobodyUid = 65534;

/** Checks that a run was refused: by banger's own words, and before any code ran. */
function assertRefused({ code, out, err }: Finished, words: RegExp, wantedCode = 5): void {
  assert.match(err, /^banger: Cannot start "banger": /m);
  assert.match(err, words);
  assert.match(err, /^hint: /m);
  assert.deepEqual({ code, out }, { code: wantedCode, out: "" });
}

const version = (home: PrivateHome, env: Record<string, string> = {}) =>
  runProgram(program, ["version"], { env: { ...home.env, ...env } });

async function flipBit(path: string, at: number): Promise<void> {
  using file = await Deno.open(path, { read: true, write: true });
  const byte = new Uint8Array(1);
  await file.seek(at, Deno.SeekMode.Start);
  await file.read(byte);
  await file.seek(at, Deno.SeekMode.Start);
  await file.write(Uint8Array.of((byte[0] ?? 0) ^ 1));
}

Deno.test("a damaged file is refused and leaves nothing behind", async () => {
  await using home = await PrivateHome.make();
  const copy = `${home.path}/banger`;
  await Deno.copyFile(program, copy);
  const { size } = await Deno.stat(copy);
  for (const at of [Math.floor(size / 2), size - 100]) {
    await flipBit(copy, at);
    const refused = await runProgram(copy, ["version"], { env: home.env });
    assertRefused(refused, /is damaged, or was replaced just now: sha256 [0-9a-f]{64} instead/);
    await flipBit(copy, at);
  }
  for await (const { name } of Deno.readDir(home.runtimeDir)) {
    assert.ok(!name.startsWith(".new"), name);
  }
  assert.equal((await home.parts()).length, 1, "the undamaged runtime");
  const cut = `${home.path}/cut`;
  await Deno.copyFile(program, cut);
  await Deno.truncate(cut, size - 50);
  assertRefused(await runProgram(cut, ["version"], { env: home.env }), /is damaged/);
});

Deno.test("what another user may write to is refused, at every level", async () => {
  await using home = await PrivateHome.make();
  await version(home);
  const app = await home.partWith("main.js");
  const runtime = await home.partWith("deno");
  const levels = [
    app,
    `${app}/main.js`,
    runtime,
    `${runtime}/deno`,
    home.runtimeDir,
    `${home.path}/.cache`,
    home.path,
  ];
  for (const path of levels) {
    const mode = (await Deno.stat(path)).mode! & 0o7777;
    for (const loose of [0o002, 0o020, 0o1002]) {
      await Deno.chmod(path, mode | loose);
      // A sticky directory of root's protects what is in it, so it may be a parent like /tmp.
      const isStickyParent = loose === 0o1002 && isRoot &&
        (path === home.path || path.endsWith(".cache"));
      const result = await version(home);
      if (isStickyParent) assert.equal(result.code, 0, path);
      else assertRefused(result, /other users may write/);
    }
    await Deno.chmod(path, mode);
  }
  assert.equal((await version(home)).code, 0);
});

Deno.test("it does not unpack into a directory that another user may write to", async () => {
  await using home = await PrivateHome.make();
  await Deno.mkdir(`${home.path}/.cache`, { mode: 0o700 });
  await Deno.chmod(`${home.path}/.cache`, 0o777);
  assertRefused(await version(home), /other users may write \S+\/\.cache \(mode 777\)/);
  assert.deepEqual(await home.parts(), []);
});

const foreign = "what belongs to another user is refused";
Deno.test({
  name: foreign,
  ignore: skipUnless(foreign, isRoot, "only root can give files away"),
  async fn() {
    await using home = await PrivateHome.make();
    await version(home);
    const app = await home.partWith("main.js");
    for (const path of [app, `${app}/main.js`, `${home.path}/.cache`]) {
      await Deno.chown(path, nobodyUid, nobodyUid);
      assertRefused(await version(home), new RegExp(`user ${nobodyUid} owns ${path}`));
      await Deno.chown(path, 0, 0);
    }
  },
});

Deno.test("a link to a private directory is as good as the directory", async () => {
  await using home = await PrivateHome.make();
  await using other = await PrivateHome.make();
  await Deno.symlink(other.path, `${home.path}/.cache`);
  assert.equal((await version(home)).code, 0);
  assert.ok((await Deno.stat(`${other.path}/banger/runtime`)).isDirectory);
});

Deno.test("a link cannot lead to a directory that another user may write to", async () => {
  await using home = await PrivateHome.make();
  await using other = await PrivateHome.make();
  await Deno.chmod(other.path, 0o777);
  await Deno.symlink(other.path, `${home.path}/.cache`);
  assertRefused(await version(home), /other users may write/);
});

Deno.test("an environment without a usable place says what to set", async () => {
  await using home = await PrivateHome.make();
  const run = (env: Record<string, string>) => runProgram(program, ["version"], { env });
  assertRefused(await run({}), /neither HOME nor .* is set\nhint: set BANGER_RUNTIME_DIR/);
  assertRefused(await run({ HOME: "relative" }), /not an absolute path/);
  await Deno.writeTextFile(`${home.path}/file`, "");
  assertRefused(await run({ HOME: `${home.path}/file` }), /cannot be made/);
  assertRefused(await run({ HOME: "/proc" }), /cannot be made/);
});

Deno.test("in the commands that pass a guest's code through, its own refusal is 125", async () => {
  for (const command of ["run", "exec", "ssh"]) {
    const result = await runProgram(program, ["vm", command, "--", "true"], { env: {} });
    assertRefused(result, /neither HOME/, 125);
  }
});
