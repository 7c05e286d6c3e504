import assert from "node:assert/strict";
import fc from "fast-check";
import { elfKernelFixture } from "../../tests/support/bundle_fixture.ts";
import { isBangerError } from "../model/errors.ts";
import { run } from "../process/run.ts";
import type { BundleMetadata, MemberName } from "./bundle.ts";
import { readBundle } from "./read_bundle.ts";
import { writeBundle } from "./write_bundle.ts";

const never = new AbortController().signal;

const about = {
  kind: "image",
  name: "tiny",
  arch: "x86_64",
  kernel: { name: "tiny-kernel", version: "6.1.0-tiny", commandLine: ["quiet"] },
  kitKey: null,
  createdAtMs: 1_767_225_600_000,
} as const;

interface Place extends AsyncDisposable {
  readonly path: string;
  file(name: string, content: Uint8Array): Promise<string>;
}

async function place(): Promise<Place> {
  const path = await Deno.makeTempDir({ prefix: "banger-test-" });
  return {
    path,
    file: async (name, content) => {
      await Deno.writeFile(`${path}/${name}`, content);
      return `${path}/${name}`;
    },
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

type Files = Partial<Record<MemberName, string>>;

async function write(dir: Place, files: Files, metadata: Partial<BundleMetadata> = {}) {
  const path = `${dir.path}/${crypto.randomUUID()}.bundle`;
  const options = { path, level: 1, signal: never };
  const written = await writeBundle({ metadata: { ...about, ...metadata }, files }, options);
  return { path, ...written };
}

async function readBack(bundle: string): Promise<Map<string, Uint8Array>> {
  await using out = await place();
  using file = await Deno.open(bundle);
  const packed = await Array.fromAsync(chunksOf(file));
  await readBundle(ReadableStream.from(packed), { label: "t", outDir: out.path, signal: never });
  const files = new Map<string, Uint8Array>();
  for await (const { name } of Deno.readDir(out.path)) {
    files.set(name, await Deno.readFile(`${out.path}/${name}`));
  }
  return files;
}

async function* chunksOf(file: Deno.FsFile): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(65_536);
  for (let count; (count = await file.read(buffer)) !== null;) yield buffer.slice(0, count);
}

/** Content with zeros and data in runs of all lengths. */
const content = fc.array(
  fc.record({
    zero: fc.boolean(),
    bytes: fc.oneof(fc.nat(9000), fc.constantFrom(4096, 65_536, 65_535, 131_072, 8192)),
  }),
  { minLength: 1, maxLength: 6 },
).map((runs) => {
  const parts = runs.map(({ zero, bytes }) => new Uint8Array(bytes).fill(zero ? 0 : 7));
  const all = new Uint8Array(1 + parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
});

Deno.test("what is written is read back, byte by byte, with and without holes", async () => {
  await using dir = await place();
  const vmlinux = await dir.file("k", elfKernelFixture());
  await fc.assert(
    fc.asyncProperty(content, fc.option(content), async (root, initrd) => {
      const files: Files = { "rootfs.ext4": await dir.file("r", root), vmlinux };
      if (initrd !== null) files["initrd.img"] = await dir.file("i", initrd);
      const { path, metadata } = await write(dir, files);
      const back = await readBack(path);
      assert.deepEqual(back.get("rootfs.ext4"), root);
      assert.deepEqual(back.get("vmlinux"), elfKernelFixture());
      assert.deepEqual(back.get("initrd.img") ?? null, initrd);
      assert.equal(back.size, initrd === null ? 2 : 3);
      assert.equal(metadata.virtualSize, root.length);
      await Deno.remove(path);
    }),
    { numRuns: 40 },
  );
});

Deno.test("equal contents give equal bytes, however the host's disk holds them", async () => {
  await using dir = await place();
  const size = 4 << 20;
  const full = new Uint8Array(size);
  full.fill(3, 1 << 20, (1 << 20) + 5000);
  const dense = await dir.file("dense", full);
  const holes = `${dir.path}/holes`;
  using file = await Deno.open(holes, { write: true, createNew: true });
  await file.truncate(size);
  await file.seek(1 << 20, Deno.SeekMode.Start);
  await file.write(full.subarray(1 << 20, (1 << 20) + 5000));
  assert.notEqual((await Deno.stat(holes)).blocks, (await Deno.stat(dense)).blocks);
  const vmlinux = await dir.file("k", elfKernelFixture());
  const one = await write(dir, { "rootfs.ext4": dense, vmlinux });
  const two = await write(dir, { vmlinux, "rootfs.ext4": holes });
  assert.equal(one.sha256, two.sha256);
  assert.deepEqual(await Deno.readFile(one.path), await Deno.readFile(two.path));
  assert.equal((await Deno.stat(one.path)).size, one.size);
  const [root] = one.metadata.members;
  assert.equal(root?.sparse, true);
  assert.equal(root?.storedSize, 512 + 8192);
});

Deno.test("tar and zstd alone unpack a bundle, with its holes", async () => {
  await using dir = await place();
  const root = new Uint8Array(3 << 20);
  root.fill(1, 0, 100);
  root.fill(2, 2 << 20, (2 << 20) + 70_000);
  const files = {
    "rootfs.ext4": await dir.file("r", root),
    vmlinux: await dir.file("k", elfKernelFixture()),
    "kit.ext4": await dir.file("kit", new Uint8Array(1 << 20)),
  };
  const { path, metadata } = await write(dir, files, { kitKey: "0123456789abcdef".repeat(4) });
  await Deno.mkdir(`${dir.path}/out`);
  const { stderr } = await run("tar", ["--zstd", "-xvf", path, "-C", `${dir.path}/out`]);
  assert.equal(stderr, "");
  for (const { name } of metadata.members) {
    const unpacked = await Deno.readFile(`${dir.path}/out/${name}`);
    assert.deepEqual(unpacked, await Deno.readFile(files[name as keyof typeof files]), name);
  }
  assert.ok((await Deno.stat(`${dir.path}/out/rootfs.ext4`)).blocks! * 512 < 300_000);
  const text = await Deno.readTextFile(`${dir.path}/out/banger-bundle.json`);
  assert.deepEqual(JSON.parse(text), metadata);
});

Deno.test("what no bundle may have is refused, and nothing is left", async () => {
  await using dir = await place();
  const vmlinux = await dir.file("k", elfKernelFixture());
  const root = await dir.file("r", new Uint8Array(100).fill(1));
  const empty = await dir.file("e", new Uint8Array(0));
  const cases: readonly (readonly [Files, Partial<BundleMetadata>, RegExp])[] = [
    [{ vmlinux }, {}, /lists no rootfs.ext4/],
    [{ "rootfs.ext4": root }, {}, /0 kernels/],
    [{ "rootfs.ext4": root, vmlinux, bzImage: vmlinux }, {}, /2 kernels/],
    [{ "rootfs.ext4": root, vmlinux, "initrd.img": empty }, {}, /"initrd.img": it is empty/],
    [{ "rootfs.ext4": root, vmlinux }, { name: "../x" }, /not allowed/],
    [{ "rootfs.ext4": root, vmlinux }, { createdAtMs: -1 }, /createdAtMs/],
    [{ "rootfs.ext4": root, vmlinux }, { kind: "kernel" }, /no kernel bundle/],
    [{ "rootfs.ext4": dir.path, vmlinux }, {}, /not a regular file/],
  ];
  for (const [files, metadata, words] of cases) {
    await assert.rejects(write(dir, files, metadata), (error) => {
      assert.ok(isBangerError(error, "invalid"), String(error));
      assert.match(error.message, words);
      return true;
    });
  }
  const names = (await Array.fromAsync(Deno.readDir(dir.path))).map(({ name }) => name).sort();
  assert.deepEqual(names, ["e", "k", "r"]);
});
