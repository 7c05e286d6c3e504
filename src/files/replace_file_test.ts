import assert from "node:assert/strict";
import { replaceFile } from "./replace_file.ts";

async function withDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-replace-" });
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const namesIn = async (dir: string) =>
  (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name).sort();

Deno.test("whatever has the name, and the name of what is being written, is replaced", () =>
  withDir(async (dir) => {
    const [path, other] = [`${dir}/file`, `${dir}/other`];
    await Deno.writeTextFile(other, "theirs");
    const makes: readonly ((at: string) => Promise<unknown>)[] = [
      () => Promise.resolve(),
      (at) => Deno.writeTextFile(at, "old", { mode: 0o666 }),
      (at) => Deno.symlink(other, at),
      (at) => Deno.symlink("/nonexistent/file", at),
      (at) => Deno.mkdir(`${at}/below`, { recursive: true }),
    ];
    for (const there of makes) {
      for (const beside of makes) {
        for (const isDurable of [false, true]) {
          await there(path);
          await beside(`${path}.new`);
          replaceFile(path, isDurable ? new TextEncoder().encode("new") : "new", { isDurable });
          assert.equal(await Deno.readTextFile(path), "new");
          const { isFile, mode } = await Deno.lstat(path);
          assert.deepEqual([isFile, mode! & 0o777], [true, 0o600]);
          assert.deepEqual(await namesIn(dir), ["file", "other"]);
          await Deno.remove(path);
        }
      }
    }
    assert.equal(await Deno.readTextFile(other), "theirs");
  }));

Deno.test("what cannot be written leaves the old one, and nothing beside it", () =>
  withDir(async (dir) => {
    const path = `${dir}/file`;
    await Deno.writeTextFile(path, "old");
    const broken = new Proxy(new Uint8Array(1), {
      get: (bytes, key) => key === "length" ? bytes.length : undefined,
    });
    assert.throws(() => replaceFile(path, broken));
    assert.equal(await Deno.readTextFile(path), "old");
    assert.deepEqual(await namesIn(dir), ["file"]);
    assert.throws(() => replaceFile(`${dir}/none/file`, "x"), Deno.errors.NotFound);
  }));
