import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { noise } from "../../tests/support/fake_registry.ts";
import { blobOf, configOf, layoutOf, writeLayout } from "../../tests/support/layout_fixture.ts";
import { hastyPolicy, refused } from "../../tests/support/pull_fixture.ts";
import { type TarFixtureEntry, tarOf } from "../../tests/support/tar_fixture.ts";
import { BangerError } from "../model/errors.ts";
import { parseImageReference } from "../model/image_reference.ts";
import { openDockerArchive } from "./docker_archive.ts";
import { archiveFile, layoutDirectory } from "./host/host_files.ts";
import type { Descriptor, ImageOrigin, LocalOrigin } from "./image_origin.ts";
import type { LocalBytes } from "./local_bytes.ts";
import { openOciLayout } from "./oci_layout.ts";
import { resolveImage } from "./resolve_image.ts";
import { streamBlob } from "./stream_blob.ts";

const { signal } = new AbortController();
const platform = { architecture: "amd64" } as const;
const [one, two] = [noise(3000, 1), noise(2_500_000, 2)];

async function inDir(act: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-oci-test-" });
  try {
    await act(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function contentOf(origin: ImageOrigin, blob: Descriptor): Promise<Uint8Array> {
  const stream = streamBlob(origin, blob, { policy: hastyPolicy, signal });
  const chunks = await Array.fromAsync(stream, (chunk) => chunk.slice());
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

const layoutIn = (dir: string, tag: string | null = null) =>
  openOciLayout(layoutDirectory(dir), {
    label: `oci:${dir}`,
    tags: tag === null ? null : [tag],
  });

Deno.test("a layout's image is resolved and its layers come verified", async () => {
  await inDir(async (dir) => {
    await writeLayout(dir, layoutOf({ "": [one, two] }));
    const origin = layoutIn(dir);
    const image = await resolveImage(origin, { platform, signal });
    assert.deepEqual(image.config.cmd, ["sh"]);
    const contents = await Promise.all(image.layers.map((layer) => contentOf(origin, layer)));
    assert.deepEqual(contents, [one, two]);
  });
});

Deno.test("of several images in a layout the tag chooses", async () => {
  await inDir(async (dir) => {
    await writeLayout(dir, layoutOf({ a: [one], "docker.io/library/b:1": [two] }));
    const sizeOf = async (tag: string | null) =>
      (await resolveImage(layoutIn(dir, tag), { platform, signal })).layerBytes;
    assert.equal(await sizeOf("a"), one.length);
    assert.equal(await sizeOf("docker.io/library/b:1"), two.length);
    const message = /it has several images: "a", "docker\.io\/library\/b:1"/;
    await assert.rejects(() => sizeOf(null), refused("conflict", message));
    await assert.rejects(() => sizeOf("c"), refused("not_found", /it has no "c": it has "a"/));
  });
});

Deno.test("a layout of a hostile person is refused, and reads nothing else", async () => {
  const digest = (file: string) => `sha256:${file.slice("blobs/sha256/".length)}` as const;
  const cases: [string, (dir: string) => Promise<void>, RegExp][] = [
    ["no marker", (dir) => Deno.remove(`${dir}/oci-layout`), /it has no oci-layout/],
    [
      "version",
      (dir) => Deno.writeTextFile(`${dir}/oci-layout`, "{}"),
      /its oci-layout file breaks/,
    ],
    ["no index", (dir) => Deno.remove(`${dir}/index.json`), /it has no index\.json/],
    [
      "no JSON",
      (dir) => Deno.writeTextFile(`${dir}/index.json`, "root:x:0"),
      /index\.json is no JSON/,
    ],
    [
      "path",
      (dir) =>
        Deno.writeTextFile(
          `${dir}/index.json`,
          JSON.stringify({
            manifests: [{ mediaType: "x", size: 1, digest: "sha256:../../../etc/passwd" }],
          }),
        ),
      /"manifests\.0\.digest"/,
    ],
    ["huge", (dir) => Deno.truncate(`${dir}/index.json`, 5 * 1024 ** 2), /over the limit/],
  ];
  for (const [name, spoil, message] of cases) {
    await inDir(async (dir) => {
      await writeLayout(dir, layoutOf({ "": [one] }));
      await spoil(dir);
      const resolved = resolveImage(layoutIn(dir), { platform, signal });
      await assert.rejects(() => resolved, (error) => {
        assert.ok(error instanceof BangerError, `${name}: ${error}`);
        assert.match(error.message, message);
        return true;
      });
    });
  }
  const layer = [...layoutOf({ "": [one] })].find(([, bytes]) => bytes.length === one.length)?.[0];
  const blobs: [(path: string) => Promise<unknown>, RegExp][] = [
    [(path) => Deno.symlink("/etc/passwd", path), /is no regular file/],
    [(path) => Deno.symlink("/dev/zero", path), /is no regular file/],
    [(path) => Deno.mkdir(path), /is no regular file/],
    [(path) => new Deno.Command("mkfifo", { args: [path] }).output(), /is no regular file/],
    [(path) => Deno.writeFile(path, one.slice(1)), /has 2999 bytes, 3000 were expected/],
    [(path) => Deno.writeFile(path, one.slice().reverse()), /has another digest/],
    [() => Promise.resolve(), /it has no blobs\/sha256/],
  ];
  for (const [replace, message] of blobs) {
    await inDir(async (dir) => {
      await writeLayout(dir, layoutOf({ "": [one] }));
      await Deno.remove(`${dir}/${layer}`);
      await replace(`${dir}/${layer}`);
      const origin = layoutIn(dir);
      const blob = { mediaType: "", digest: digest(layer ?? ""), size: one.length };
      await assert.rejects(() => contentOf(origin, blob), message);
    });
  }
  const files = layoutDirectory("/etc");
  for (const name of ["passwd", "../etc/passwd", "blobs/sha256/..", "blobs/sha256/x", ""]) {
    await assert.rejects(() => files.size(name, signal), /no image has such a file/);
  }
});

interface Archived {
  readonly entries: TarFixtureEntry[];
  readonly config: ReturnType<typeof configOf>;
}

/** As Docker before 25 writes it, the second layer as a link to where it is already. */
function oldArchive(tags: readonly string[] = ["app:1"]): Archived {
  const config = configOf([one, two, one]);
  const name = `${config.digest.slice(7)}.json`;
  const manifest = [{
    Config: name,
    RepoTags: tags,
    Layers: ["a/layer.tar", "b/layer.tar", "c/layer.tar"],
  }];
  return {
    config,
    entries: [
      { name: "a/", type: "5" },
      { name: "a/VERSION", content: "1.0" },
      { name: "a/layer.tar", content: one },
      { name: "b/layer.tar", content: two },
      { name: "c/layer.tar", type: "2", link: "../a/layer.tar" },
      { name, content: config.bytes },
      { name: "manifest.json", content: JSON.stringify(manifest) },
      { name: "repositories", content: "{}" },
    ],
  };
}

async function withArchive(
  bytes: Uint8Array,
  act: (files: LocalBytes, label: string) => Promise<void>,
): Promise<void> {
  await inDir(async (dir) => {
    await Deno.writeFile(`${dir}/x.tar`, bytes);
    await act(archiveFile(`${dir}/x.tar`), `docker-archive:${dir}/x.tar`);
  });
}

async function open(files: LocalBytes, label: string, name?: string): Promise<LocalOrigin> {
  const reference = name === undefined ? null : parseImageReference(name);
  return await openDockerArchive(files, { label, reference, signal });
}

Deno.test("an archive of docker save is read in place, old form and OCI in a tar", async () => {
  const { entries, config } = oldArchive();
  await withArchive(tarOf(entries), async (files, label) => {
    const origin = await open(files, label, "app:1");
    const image = await resolveImage(origin, { platform, signal });
    assert.equal(image.configDigest, config.digest);
    assert.deepEqual(image.layers.map(({ digest, diffId }) => [digest, diffId]), [
      [blobOf(one).digest, blobOf(one).digest],
      [blobOf(two).digest, blobOf(two).digest],
      [blobOf(one).digest, blobOf(one).digest],
    ]);
    const contents = await Promise.all(image.layers.map((layer) => contentOf(origin, layer)));
    assert.deepEqual(contents, [one, two, one]);
    const again = await resolveImage(await open(files, label), { platform, signal });
    assert.equal(again.digest, image.digest);
    const message = /it has no "docker\.io\/library\/app:2"; it has "app:1"/;
    await assert.rejects(() => open(files, label, "app:2"), refused("not_found", message));
  });
  const layout = [...layoutOf({ v1: [one], v2: [two] })];
  await withArchive(
    tarOf(layout.map(([name, content]) => ({ name, content }))),
    async (files, label) => {
      const image = await resolveImage(await open(files, label, "x:v2"), { platform, signal });
      assert.equal(image.layerBytes, two.length);
      const several = await open(files, label);
      assert.deepEqual(await (await open(files, label, "x:v1")).names(signal), ["v1"]);
      const resolving = resolveImage(several, { platform, signal });
      await assert.rejects(() => resolving, refused("conflict", /several images/));
    },
  );
});

Deno.test("a name in a layout is found in full, however it is written there", async () => {
  for (const written of ["app:1", "docker.io/library/app:1", "library/app:1"]) {
    const layout = [...layoutOf({ [written]: [one], "other:1": [two] })];
    const tar = tarOf(layout.map(([name, content]) => ({ name, content })));
    await withArchive(tar, async (files, label) => {
      const image = await resolveImage(await open(files, label, "app:1"), { platform, signal });
      assert.equal(image.layerBytes, one.length, written);
      await assert.rejects(
        async () => await resolveImage(await open(files, label, "app:2"), { platform, signal }),
        refused("not_found", /it has no "docker\.io\/library\/app:2": it has/),
      );
    });
  }
});

Deno.test("compressed layers in an archive have their own digests", async () => {
  const config = configOf([one, two]);
  const packed = [gzipSync(one), gzipSync(two)].map((bytes) => new Uint8Array(bytes));
  const named = `blobs/sha256/${blobOf(packed[1]).digest.slice(7)}`;
  const entries = [
    { name: "./0.tar.gz", content: packed[0] ?? one },
    { name: named, content: packed[1] ?? one },
    { name: "config", content: config.bytes },
    {
      name: "manifest.json",
      content: JSON.stringify([{ Config: "config", RepoTags: null, Layers: ["0.tar.gz", named] }]),
    },
  ];
  await withArchive(tarOf(entries), async (files, label) => {
    const origin = await open(files, label);
    const image = await resolveImage(origin, { platform, signal });
    assert.deepEqual(image.layers.map(({ compression }) => compression), ["gzip", "gzip"]);
    assert.deepEqual(
      image.layers.map(({ diffId }) => diffId),
      [one, two].map((l) => blobOf(l).digest),
    );
    const contents = await Promise.all(image.layers.map((layer) => contentOf(origin, layer)));
    assert.deepEqual(contents, packed);
  });
});

Deno.test("a damaged or hostile archive is refused", async () => {
  const { entries } = oldArchive();
  const whole = tarOf(entries);
  const without = (name: string) => tarOf(entries.filter((entry) => !entry.name.includes(name)));
  const manifest = (text: string) => tarOf([...entries, { name: "manifest.json", content: text }]);
  const cases: [Uint8Array, RegExp][] = [
    [gzipSync(whole), /its archive is compressed/],
    [new TextEncoder().encode("root:x:0:0\n"), /its archive is damaged or no tar/],
    [new Uint8Array(0), /its archive is damaged or no tar/],
    [whole.slice(0, 5000), /damaged or no tar|cut off/],
    [whole.slice(0, 1024 * 1024), /cut off/],
    [without("manifest.json"), /has no manifest\.json and no index\.json/],
    [without("b/layer.tar"), /has no layer "b\/layer\.tar"/],
    [without("a/layer.tar"), /has no layer "a\/layer\.tar"/],
    [manifest("[]"), /its manifest\.json breaks a rule/],
    [manifest("{"), /is no JSON/],
    [manifest('[{"Config":"../../etc/passwd","Layers":[]}]'), /has no "\.\.\/\.\.\/etc\/passwd"/],
    [manifest('[{"Config":"manifest.json","Layers":[]}]'), /its configuration breaks a rule/],
    [
      tarOf([{ name: "manifest.json", type: "2", link: "/etc/passwd" }]),
      /has no manifest\.json and no index\.json/,
    ],
    [
      tarOf([{ name: "manifest.json", type: "2", link: "manifest.json" }]),
      /has no manifest\.json and no index\.json/,
    ],
  ];
  for (const [bytes, message] of cases) {
    await withArchive(bytes, async (files, label) => {
      await assert.rejects(() => open(files, label), (error) => {
        assert.ok(error instanceof BangerError, String(error));
        assert.match(error.message, message);
        return true;
      });
    });
  }
  const swapped = entries.map((entry) =>
    entry.name === "a/layer.tar" ? { ...entry, content: one.slice().reverse() } : entry
  );
  await withArchive(tarOf(swapped), async (files, label) => {
    const origin = await open(files, label);
    const image = await resolveImage(origin, { platform, signal });
    const [first] = image.layers;
    assert.ok(first !== undefined);
    await assert.rejects(() => contentOf(origin, first), refused("untrusted", /another digest/));
  });
});

Deno.test("any bytes are an archive, or are refused, in bounded time", async () => {
  const whole = tarOf(oldArchive().entries.filter(({ content }) => content !== two));
  const memory = (bytes: Uint8Array): LocalBytes => ({
    size: () => Promise.resolve(bytes.length),
    read: async function* (_, { offset, length }) {
      await Promise.resolve();
      yield bytes.subarray(offset, offset + length);
    },
  });
  const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(damage, async (changes) => {
      const bytes = whole.slice();
      for (const [at, value] of changes) bytes[at] = value;
      try {
        await resolveImage(await open(memory(bytes), "docker-archive:x"), { platform, signal });
      } catch (error) {
        assert.ok(error instanceof BangerError, String(error));
      }
    }),
    { numRuns: 300 },
  );
});
