import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { entryBytes, type FixtureEntry, joined, tarOf } from "../../tests/support/layer_fixture.ts";
import { isBangerError } from "../model/errors.ts";
import { run } from "../process/run.ts";
import { type FlattenedImage, flattenLayers, type FlattenOptions } from "./flatten_layers.ts";

const options = {
  sizeBytes: 64 * 1024 ** 2,
  uuid: new Uint8Array(16).fill(3),
  made: { seconds: 1_600_000_000, nanoseconds: 0 },
};

async function* inChunks(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) {
    yield await Promise.resolve(bytes.subarray(at, at + size));
  }
}

function layer(
  stored: Uint8Array,
  more: { digest?: string; diffId?: string } = {},
  size = 100_000,
) {
  return { label: "layer", open: () => inChunks(stored, size), ...more };
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** Flattens into a directory of its own and gives the image to `look`. */
async function flattened(
  layers: FlattenOptions["layers"],
  look: (image: FlattenedImage, path: string) => unknown = () => {},
  more: Partial<FlattenOptions> = {},
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-flatten-" });
  try {
    const out = `${dir}/image`;
    const image = await flattenLayers({ ...options, layers, out, ...more });
    assert.deepEqual(await namesIn(dir), ["image"]);
    await look(image, out);
  } catch (error) {
    if (isBangerError(error)) assert.deepEqual(await namesIn(dir), [], "a failure leaves no file");
    throw error;
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function namesIn(dir: string): Promise<string[]> {
  return await Array.fromAsync(Deno.readDir(dir), ({ name }) => name);
}

/** Asserts that the layers are refused with `code`. */
async function refused(
  layers: FlattenOptions["layers"],
  code: string,
  words: RegExp,
  more: Partial<FlattenOptions> = {},
): Promise<void> {
  await assert.rejects(flattened(layers, undefined, more), (error) => {
    assert.ok(isBangerError(error, "untrusted"), `${error}`);
    assert.equal(error.code, code);
    assert.match(error.message, words);
    return true;
  });
}

const files: readonly FixtureEntry[] = [
  { name: "dir/", mode: 0o700 },
  { name: "dir/file", content: "x".repeat(10_000) },
  { name: "link", flag: "2", link: "dir/file" },
];

Deno.test("equal layers make equal bytes, however they come", async () => {
  const tar = tarOf(files);
  const upper = tarOf([{ name: "dir/.wh.file" }, { name: "other", content: "y".repeat(5000) }]);
  const images: string[] = [];
  for (const size of [1, 777, 100_000]) {
    const forms = [gzipSync(tar), size === 1 ? tar : gzipSync(tar)];
    await flattened([layer(forms[1]!, {}, size), layer(upper, {}, size)], async (image, path) => {
      assert.deepEqual(image.layers.map(({ diffId }) => diffId), [digestOf(tar), digestOf(upper)]);
      assert.equal(image.inodes, 5);
      assert.ok(image.diskBytes < 5 * 1024 ** 2, `${image.diskBytes}`);
      images.push(digestOf(await Deno.readFile(path)));
    });
  }
  assert.deepEqual(new Set(images).size, 1);
});

Deno.test("digests are checked, of what is stored and of the tar inside", async () => {
  const tar = tarOf(files);
  const stored = gzipSync(tar);
  await flattened([layer(stored, { digest: digestOf(stored), diffId: digestOf(tar) })]);
  const wrong = digestOf(new Uint8Array(1));
  await refused(
    [layer(stored, { digest: wrong })],
    "IMAGE_DIGEST",
    /digest of its bytes is sha256:/,
  );
  await refused([layer(stored, { diffId: wrong })], "IMAGE_DIGEST", /digest of its content is sha/);
  await refused([layer(stored, { digest: "md5:x" })], "IMAGE_DIGEST", /neither sha256 nor sha512/);
});

Deno.test("a layer that grows beyond the limits is refused while it does", async () => {
  const bomb = gzipSync(tarOf([{ name: "zeros", content: new Uint8Array(30_000_000) }]));
  await refused([layer(bomb)], "IMAGE_LIMIT", /inflates to more than the 1000000 bytes/, {
    limits: { inflatedBytes: 1_000_000 },
  });
  await refused([layer(bomb)], "IMAGE_LIMIT", /inflates to more than 100 times its size/, {
    limits: { ratio: 100, ratioFromBytes: 1_000_000 },
  });
  // The limit is on all layers together.
  await refused([layer(bomb), layer(bomb)], "IMAGE_LIMIT", /inflates to more than/, {
    limits: { inflatedBytes: 40_000_000 },
  });
  const entries = tarOf(files);
  await refused([layer(entries), layer(entries)], "IMAGE_LIMIT", /beyond the limit of 5 entries/, {
    limits: { entries: 5 },
  });
});

Deno.test("an endless bomb ends at the ratio, long before it was read", async () => {
  const zeros = new Uint8Array(16 * 1024 ** 2);
  const start = entryBytes({ name: "zeros", size: 10 * 1024 ** 3 });
  let given = 0;
  async function* members() {
    yield await Promise.resolve(gzipSync(start));
    const member = gzipSync(zeros);
    for (; given < 640; given++) yield member;
  }
  await refused([{ label: "layer", open: members }], "IMAGE_LIMIT", /more than 200 times/, {
    limits: { ratioFromBytes: 256 * 1024 ** 2 },
  });
  // What it takes of memory is measured of the process that unpacks: tests/e2e/hostile_image_test.ts.
  assert.ok(given < 40, `${given}`);
});

Deno.test("what does not fit is told, and nothing is left", async () => {
  const noise = new Uint8Array(80 * 1024 ** 2).map((_, at) => (at * 7919) >>> 3);
  await assert.rejects(
    flattened([layer(tarOf([{ name: "large", content: noise }]))]),
    (error) => {
      assert.ok(isBangerError(error, "exhausted"), `${error}`);
      assert.match(error.message, /does not fit into 64 MiB/);
      return true;
    },
  );
});

Deno.test("an image that exists is not touched", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, "mine");
    await assert.rejects(
      flattenLayers({ ...options, layers: [], out: path }),
      Deno.errors.AlreadyExists,
    );
    assert.equal(await Deno.readTextFile(path), "mine");
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("it can be cancelled, and a source that fails is told as it is", async () => {
  const stop = new AbortController();
  const tar = tarOf(files);
  const reason = new Error("stop");
  await assert.rejects(
    flattened([layer(tar, {}, 512)], undefined, {
      signal: stop.signal,
      onProgress: ({ storedBytes }) => storedBytes > 1000 && stop.abort(reason),
    }),
    (error) => error === reason,
  );
  async function* failing() {
    yield await Promise.resolve(tar.subarray(0, 1000));
    throw reason;
  }
  await assert.rejects(
    flattened([{ label: "layer", open: failing }]),
    (error) => error === reason,
  );
});

const hostileName = fc.array(
  fc.constantFrom(
    "a",
    "b",
    "..",
    ".",
    "",
    "l",
    "d",
    "\0",
    "\xff",
    ".wh.a",
    ".wh..wh..opq",
    ".wh.",
    ".wh...",
  ),
  { minLength: 1, maxLength: 5 },
).map((parts) => parts.join("/"));
const hostileEntry = fc.record({
  name: hostileName,
  flag: fc.constantFrom("0", "1", "2", "3", "5", "6", "S", "7"),
  link: fc.oneof(hostileName, fc.constantFrom("/", "/etc/passwd", "../../../..", "l", "d/../..")),
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.constantFrom(0, 1000, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1),
  mtime: fc.constantFrom(0, -1, 2 ** 33, -(2 ** 40), 2 ** 45),
  xattrs: fc.constantFrom({}, { "user.a": "b" }, { "security.capability": "\0\xff" }, {
    "user.": "x",
  }),
  content: fc.constantFrom("", "content", "x".repeat(5000)),
}).map((entry) => ({ ...entry, content: "07".includes(entry.flag) ? entry.content : "" }));

Deno.test("hostile entries are refused, or make a sound image and nothing else", async () => {
  let accepted = 0;
  let entries = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(hostileEntry, { maxLength: 6 }), { minLength: 1, maxLength: 3 }),
      async (layers) => {
        entries += layers.flat().length;
        try {
          await flattened(layers.map((each) => layer(tarOf(each))), async (_, path) => {
            await run("e2fsck", ["-fn", path], { timeoutMs: 30_000 });
            accepted++;
          }, { sizeBytes: 16 * 1024 ** 2 });
        } catch (error) {
          assert.ok(isBangerError(error, "untrusted"), `${error}`);
          assert.match(error.message, /^Cannot unpack layer "layer": entry /);
        }
      },
    ),
    { numRuns: 400 },
  );
  assert.ok(entries > 500 && accepted > 20, `${entries} entries, ${accepted} accepted`);
});

Deno.test("bytes that are changed anywhere are refused, or make a sound image", async () => {
  const tar = joined([tarOf(files), new Uint8Array(512)]);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(tar.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      async (changes) => {
        const changed = tar.slice();
        for (const [at, value] of changes) changed[at] = value;
        try {
          await flattened([layer(changed)], undefined, { sizeBytes: 16 * 1024 ** 2 });
        } catch (error) {
          assert.ok(isBangerError(error, "untrusted"), `${error}`);
        }
      },
    ),
    { numRuns: 300 },
  );
});
