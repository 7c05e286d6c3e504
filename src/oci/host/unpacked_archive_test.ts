import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { noise } from "../../../tests/support/fake_registry.ts";
import { BangerError } from "../../model/errors.ts";
import { isGzipFile, unpackArchive } from "./unpacked_archive.ts";

const { signal } = new AbortController();
const content = noise(3_000_000, 9);

async function withFile(
  bytes: Uint8Array,
  body: (path: string, tempDir: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-test-" });
  try {
    await Deno.mkdir(`${dir}/temp`);
    await Deno.writeFile(`${dir}/file`, bytes);
    await body(`${dir}/file`, `${dir}/temp`);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(`${dir}/temp`)), []);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("a compressed archive is read anywhere, by several at once, and has no name", async () => {
  // As cat puts two files behind each other.
  const packed = [content.subarray(0, 1000), content.subarray(1000)].map((part) =>
    new Uint8Array(gzipSync(part))
  );
  await withFile(new Uint8Array(await new Blob(packed).arrayBuffer()), async (path, tempDir) => {
    assert.equal(await isGzipFile(path), true);
    let seen = 0;
    const onProgress = (bytes: number) => void (seen = bytes);
    using archive = await unpackArchive(path, { tempDir, signal, onProgress });
    assert.equal(seen, (await Deno.stat(path)).size);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(tempDir)), []);
    assert.equal(await archive.size("archive", signal), content.length);
    assert.equal(await archive.size("/etc/passwd", signal), undefined);
    const ranges = [[0, 3_000_000], [1_500_000, 20], [2_999_990, 100], [17, 1_100_000]] as const;
    await Promise.all(ranges.map(async ([offset, length]) => {
      const chunks = archive.read("archive", { offset, length }, signal);
      const copies = await Array.fromAsync(chunks, (chunk) => chunk.slice());
      const got = new Uint8Array(await new Blob(copies).arrayBuffer());
      assert.deepEqual(got, content.slice(offset, offset + length));
    }));
  });
});

Deno.test("what is damaged, too large or given up leaves nothing", async () => {
  const packed = gzipSync(content);
  const damaged = packed.slice();
  damaged[1_000_000]! ^= 0xff;
  const gone = AbortSignal.abort(new BangerError("cancelled", "Stopped"));
  const cases: [Uint8Array, object, RegExp][] = [
    [packed.subarray(0, 1_000_000), {}, /it is damaged or cut off/],
    [damaged, {}, /it is damaged or cut off/],
    [gzipSync(new Uint8Array(50_000_000)), { maxBytes: 1e6 }, /larger than an image may be/],
    [packed, { signal: gone }, /Stopped/],
  ];
  for (const [bytes, options, words] of cases) {
    await withFile(bytes, async (path, tempDir) => {
      await assert.rejects(unpackArchive(path, { tempDir, signal, ...options }), (error) => {
        assert.ok(error instanceof BangerError, String(error));
        assert.match(error.message, words);
        return true;
      });
    });
  }
});

Deno.test("only a regular file can be gzip", async () => {
  await withFile(new Uint8Array([0x1f]), async (path) => {
    for (const other of [path, `${path}.none`, "/dev/zero", "/etc", "/etc/passwd"]) {
      assert.equal(await isGzipFile(other), false, other);
    }
  });
});
