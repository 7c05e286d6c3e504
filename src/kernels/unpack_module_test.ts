import assert from "node:assert/strict";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { moduleFixture } from "../../tests/support/deb_fixture.ts";
import { isBangerError } from "../model/errors.ts";
import { run } from "../process/run.ts";
import { isModulePath, plainModulePath, unpackModule } from "./unpack_module.ts";

const maxBytes = 1024 ** 2;
const module = moduleFixture(["depends=a,b", "alias=x"]);

async function xz(bytes: Uint8Array): Promise<Uint8Array> {
  return (await run("xz", ["-c"], { stdin: bytes })).stdout;
}

/** The same bytes in each form that there is. */
async function packed(bytes: Uint8Array): Promise<readonly (readonly [string, Uint8Array])[]> {
  return [["a.ko.gz", gzipSync(bytes)], ["a.ko.xz", await xz(bytes)], [
    "a.ko.zst",
    zstdCompressSync(bytes),
  ]];
}

Deno.test("a module is told by its name, in every form", () => {
  for (const path of ["a.ko", "k/a-b.ko", "a.ko.gz", "k/a.ko.xz", "a.ko.zst"]) {
    assert.ok(isModulePath(path), path);
    assert.match(plainModulePath(path), /\.ko$/);
  }
  for (const path of ["a", "a.ko.bz2", "a.ko.gz.x", "ko", "a.kox", "a.ko.zst~"]) {
    assert.ok(!isModulePath(path), path);
    assert.equal(plainModulePath(path), path);
  }
});

Deno.test("a module is what it was before it was compressed", async () => {
  for (const [path, stored] of [["a.ko", module] as const, ...await packed(module)]) {
    assert.deepEqual(await unpackModule(stored, path, { maxBytes }), module, path);
  }
});

Deno.test("what is cut off, something else, or has bytes behind it is refused", async () => {
  const damaged = (path: string) => (error: unknown) => {
    assert.ok(isBangerError(error, "untrusted"), String(error));
    assert.match(
      error.message,
      new RegExp(`^Cannot unpack module "${path}": it is damaged or no `),
    );
    return true;
  };
  for (const [path, stored] of await packed(module)) {
    const bad = fc.oneof(
      fc.nat(stored.length - 1).map((bytes) => stored.subarray(0, bytes)),
      fc.uint8Array({ minLength: 1, maxLength: 64 }),
      fc.constant(module),
      fc.constant(Uint8Array.of(...stored, 1, 2, 3)),
    );
    await fc.assert(
      fc.asyncProperty(
        bad,
        (bytes) => assert.rejects(unpackModule(bytes, path, { maxBytes }), damaged(path)),
      ),
      { numRuns: 15 },
    );
  }
});

Deno.test("what becomes too large is refused before it is there", async () => {
  for (const [path, stored] of await packed(new Uint8Array(100 * 1024 ** 2))) {
    for (const limit of [maxBytes, 1024 ** 4]) {
      await assert.rejects(unpackModule(stored, path, { maxBytes: limit }), (error) => {
        assert.ok(isBangerError(error, "untrusted"), String(error));
        assert.match(error.message, /it becomes more than (1048576|67108864) bytes$/);
        return true;
      });
    }
  }
});
