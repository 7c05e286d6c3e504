import assert from "node:assert/strict";
import { publishDir } from "./publish.ts";
import { cleanStaging, makeStaging, removeStaging } from "./staging.ts";

const uid = Deno.uid() ?? 0;

async function namesIn(dir: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(dir))).map((entry) => entry.name);
}

async function inTempDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("publication is a rename, of read-only files; what is published stands", () =>
  inTempDir(async (dir) => {
    const stage = async (text: string) => {
      const staged = await makeStaging(dir, "image");
      await Deno.writeTextFile(`${staged}/rootfs.ext4`, text);
      return staged;
    };
    const target = `${dir}/published`;
    assert.equal(await publishDir(await stage("first"), target), true);
    assert.equal((await Deno.stat(`${target}/rootfs.ext4`)).mode! & 0o777, 0o444);
    const second = await stage("second");
    assert.equal(await publishDir(second, target), false);
    assert.equal(await Deno.readTextFile(`${target}/rootfs.ext4`), "first");
    await removeStaging(second, uid);
    await removeStaging(second, uid);
    assert.deepEqual(await namesIn(dir), ["published"]);
  }));

Deno.test("the start removes whatever a killed daemon left in staging, and nothing beside it", () =>
  inTempDir(async (dir) => {
    await Deno.mkdir(`${dir}/staging/image-x/tree/root`, { recursive: true });
    await Deno.writeTextFile(`${dir}/staging/kernel.part`, "");
    await Deno.writeTextFile(`${dir}/kept`, "");
    assert.equal(await cleanStaging(`${dir}/staging`, uid), 2);
    assert.deepEqual(await namesIn(`${dir}/staging`), []);
    assert.equal(await cleanStaging(`${dir}/absent`, uid), 0);
    assert.ok((await Deno.stat(`${dir}/kept`)).isFile);
  }));
