import assert from "node:assert/strict";
import { cpioArchive } from "./cpio.ts";
import { removeSeededInitrd, writeSeededInitrd } from "./seeded_initrd.ts";

Deno.test("both archives are there for whoever reads one after the other, for the owner only", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const content = new TextEncoder().encode("abc");
    await Deno.writeFile(`${dir}/base`, cpioArchive([{ type: "file", path: "init", content }]));
    const path = `${dir}/seeded`;
    await writeSeededInitrd(path, `${dir}/base`, [
      { name: "stamp", text: "s\n", mode: 0o644 },
      { name: "host_key", text: "KEY\n", mode: 0o600 },
    ]);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    const all = await Deno.readFile(path);
    const base = await Deno.stat(`${dir}/base`);
    assert.equal(base.size % 4, 0);
    assert.deepEqual(all.subarray(0, base.size), await Deno.readFile(`${dir}/base`));
    const seed = (name: string, text: string, mode: number) => (
      { type: "file", path: `seed/${name}`, mode, content: new TextEncoder().encode(text) } as const
    );
    const expected = cpioArchive([
      { type: "directory", path: "seed", mode: 0o700 },
      seed("stamp", "s\n", 0o644),
      seed("host_key", "KEY\n", 0o600),
    ]);
    assert.deepEqual(all.subarray(base.size), expected);
    await removeSeededInitrd(path);
    await removeSeededInitrd(path);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
