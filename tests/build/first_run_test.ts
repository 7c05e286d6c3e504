import assert from "node:assert/strict";
import { PrivateHome, program, root, runProgram } from "./built_program.ts";

/** Makes a directory with a `tar` that counts its runs in `log`, for the front of PATH. */
async function countingTar(dir: string): Promise<{ path: string; runs: () => Promise<number> }> {
  const log = `${dir}/tar.log`;
  await Deno.mkdir(`${dir}/bin`);
  await Deno.writeTextFile(log, "");
  const script = `#!/bin/sh\necho run >>'${log}'\nexec /bin/tar "$@"\n`;
  await Deno.writeTextFile(`${dir}/bin/tar`, script, { mode: 0o755 });
  const runs = async () => (await Deno.readTextFile(log)).split("\n").length - 1;
  return { path: `${dir}/bin:/usr/sbin:/usr/bin:/sbin:/bin`, runs };
}

Deno.test("ten first runs at once unpack once, and all succeed", async () => {
  await using home = await PrivateHome.make();
  const tar = await countingTar(home.path);
  const env = { ...home.env, PATH: tar.path };
  const all = await Promise.all(
    Array.from({ length: 10 }, () => runProgram(program, ["version", "--json"], { env })),
  );
  for (const { code, err } of all) assert.deepEqual({ code, err }, { code: 0, err: "" });
  assert.equal(await tar.runs(), 2, "one for the runtime, one for the program");
  assert.equal((await home.parts()).length, 2);
  await runProgram(program, ["version"], { env });
  assert.equal(await tar.runs(), 2, "a later run unpacks nothing");
});

Deno.test("what was unpacked belongs to the user alone", async () => {
  await using home = await PrivateHome.make();
  await runProgram(program, ["version"], { env: home.env });
  for (const part of await home.parts()) {
    const dir = `${home.runtimeDir}/${part}`;
    assert.equal((await Deno.stat(dir)).mode! & 0o777, 0o700, dir);
    for await (const { name } of Deno.readDir(dir)) {
      if (name === "used" || name === "cache") continue;
      const mode = (await Deno.stat(`${dir}/${name}`)).mode! & 0o777;
      // Root's net filter, which runs as another user, gets deno as an open descriptor.
      const denoMode = Deno.uid() === 0 ? 0o555 : 0o500;
      assert.equal(mode, name === "deno" ? denoMode : 0o400, name);
    }
  }
});

Deno.test("the guest agent's bundle is unpacked with it, one file without imports", async () => {
  await using home = await PrivateHome.make();
  await runProgram(program, ["version"], { env: home.env });
  const bundle = await Deno.readTextFile(`${await home.partWith("agent.js")}/agent.js`);
  assert.equal(bundle, await Deno.readTextFile(`${root}/build/kit/agent.js`));
  const imported = [...bundle.matchAll(/^(?:import|export)\b[^;]*?\bfrom "([^"]+)"/gm)]
    .map(([, specifier = ""]) => specifier);
  assert.deepEqual(imported.filter((specifier) => !specifier.startsWith("node:")), []);
});

Deno.test("a first run that was killed leaves nothing that the next one trips over", async () => {
  await using home = await PrivateHome.make();
  const leftover = `${home.runtimeDir}/.new-1`;
  await Deno.mkdir(`${leftover}/tree`, { recursive: true, mode: 0o700 });
  await Deno.writeTextFile(`${leftover}/part`, "half");
  const { code } = await runProgram(program, ["version"], { env: home.env });
  assert.equal(code, 0);
  await assert.rejects(Deno.stat(leftover), Deno.errors.NotFound);
});

Deno.test("parts of old builds go when unused for a month, not before and not while they run", async () => {
  await using home = await PrivateHome.make();
  const old = async (name: string, days: number) => {
    const dir = `${home.runtimeDir}/${name.repeat(64)}`;
    await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
    await Deno.writeTextFile(`${dir}/used`, "");
    const then = new Date(Date.now() - days * 86_400_000);
    await Deno.utime(`${dir}/used`, then, then);
    return dir;
  };
  const [stale, recent, running] = [await old("a", 40), await old("b", 10), await old("c", 40)];
  await Deno.copyFile("/bin/sleep", `${running}/deno`);
  const process = new Deno.Command(`${running}/deno`, { args: ["60"] }).spawn();
  try {
    assert.equal((await runProgram(program, ["version"], { env: home.env })).code, 0);
    await assert.rejects(Deno.stat(stale), Deno.errors.NotFound);
    assert.ok((await Deno.stat(recent)).isDirectory);
    assert.ok((await Deno.stat(running)).isDirectory);
  } finally {
    process.kill("SIGKILL");
    await process.status;
  }
});
