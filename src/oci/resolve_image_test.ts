import assert from "node:assert/strict";
import fc from "fast-check";
import {
  described,
  type FakeBlob,
  type FakeRegistry,
  imageIn,
  noise,
} from "../../tests/support/fake_registry.ts";
import { PullFixture, refused } from "../../tests/support/pull_fixture.ts";
import { BangerError } from "../model/errors.ts";
import { parseImageConfig } from "./image_config.ts";
import { parseManifest } from "./manifest.ts";

const indexType = "application/vnd.oci.image.index.v1+json";
const listType = "application/vnd.docker.distribution.manifest.list.v2+json";
const manifestType = "application/vnd.oci.image.manifest.v1+json";
const dockerType = "application/vnd.docker.distribution.manifest.v2+json";

function entry(blob: FakeBlob, platform: unknown, mediaType = manifestType) {
  return { ...described(mediaType, blob), ...(platform === null ? {} : { platform }) };
}

function indexIn(registry: FakeRegistry, manifests: unknown[], tag?: string, type = indexType) {
  return registry.addManifest({ schemaVersion: 2, mediaType: type, manifests }, tag, type);
}

const linux = (architecture: string, variant?: string) => ({
  os: "linux",
  architecture,
  ...(variant === undefined ? {} : { variant }),
});

Deno.test("the image for the platform is chosen from an index, OCI's and Docker's", async () => {
  for (const type of [indexType, listType]) {
    await using pull = new PullFixture();
    const { registry } = pull;
    const amd = imageIn(registry, [noise(10, 1)], { tag: "amd" });
    const arm = imageIn(registry, [noise(10, 2)], { tag: "arm", architecture: "arm64" });
    const index = indexIn(
      registry,
      [
        entry(arm.manifest, linux("arm64", "v8")),
        entry(amd.manifest, linux("amd64")),
        entry(arm.manifest, { os: "unknown", architecture: "unknown" }),
        entry(amd.manifest, { os: "windows", architecture: "amd64", "os.version": "10" }),
      ],
      "latest",
      type,
    );
    const image = await pull.resolve();
    assert.equal(image.digest, amd.manifest.digest);
    assert.equal(image.rootDigest, index.digest);
    assert.deepEqual(
      [...image.blobs].sort(),
      [index, amd.manifest, amd.config, ...amd.layers].map(({ digest }) => digest).sort(),
    );
  }
});

Deno.test("a platform that is missing or not clear is told with what there is", async () => {
  await using pull = new PullFixture();
  const { registry } = pull;
  const one = imageIn(registry, [noise(10, 1)], { tag: "one" }).manifest;
  const two = imageIn(registry, [noise(10, 2)], { tag: "two" }).manifest;
  const cases: [unknown[], "not_found" | "conflict", RegExp][] = [
    [
      [entry(one, linux("arm", "v7")), entry(two, { os: "windows", architecture: "amd64" })],
      "not_found",
      /nothing for linux\/amd64: it has linux\/arm\/v7, windows\/amd64$/,
    ],
    [[entry(one, linux("amd64", "v3"))], "not_found", /it has linux\/amd64\/v3/],
    [[], "not_found", /it has no images at all/],
    [[entry(one, null), entry(two, null)], "not_found", /it has an unnamed one/],
    [[entry(one, { os: "\x1b]52", architecture: "a" })], "not_found", /it has "\\u001b\]52\/a"/],
    [
      [entry(one, linux("amd64")), entry(two, linux("amd64"))],
      "conflict",
      new RegExp(`several images for linux/amd64: ${one.digest}, ${two.digest}`),
    ],
  ];
  for (const [entries, kind, message] of cases) {
    indexIn(registry, entries, "latest");
    await assert.rejects(() => pull.resolve(), refused(kind, message));
  }
  indexIn(registry, [entry(one, linux("amd64")), entry(one, linux("amd64", "v1"))], "latest");
  assert.equal((await pull.resolve()).digest, one.digest);
  indexIn(registry, [entry(two, null)], "latest");
  assert.equal((await pull.resolve()).digest, two.digest);
});

Deno.test("an image whose configuration is for another platform is refused", async () => {
  await using pull = new PullFixture();
  imageIn(pull.registry, [noise(10, 1)], { architecture: "s390x" });
  await assert.rejects(
    () => pull.resolve(),
    refused("not_found", /it is for "linux\/s390x", this host runs linux\/amd64/),
  );
});

Deno.test("an index in an index is followed, but neither deep nor wide nor in circles", async () => {
  await using pull = new PullFixture();
  const { registry } = pull;
  const { manifest } = imageIn(registry, [noise(10, 1)], { tag: "one" });
  let inner = indexIn(registry, [entry(manifest, linux("amd64"))], "latest");
  inner = indexIn(registry, [entry(inner, null, indexType)], "latest");
  assert.equal((await pull.resolve()).digest, manifest.digest);
  for (let at = 0; at < 3; at++) {
    inner = indexIn(registry, [entry(inner, null, indexType)], "latest");
  }
  await assert.rejects(
    () => pull.resolve(),
    refused("exhausted", /nest deeper than 3/, "IMAGE_LIMIT"),
  );
  const many = Array.from(
    { length: 20 },
    (_, at) => entry(indexIn(registry, [entry(manifest, linux(`x${at}`))]), null, indexType),
  );
  indexIn(registry, many, "latest");
  await assert.rejects(() => pull.resolve(), refused("exhausted", /more than 16 manifests/));
  // A circle needs a lie about a digest.
  const digest = `sha256:${"a".repeat(64)}` as const;
  const bytes = new TextEncoder().encode(JSON.stringify({
    schemaVersion: 2,
    manifests: [{ mediaType: indexType, digest, size: 183 }],
  }));
  registry.manifests.set(digest, { type: indexType, bytes });
  registry.manifests.set("latest", { type: indexType, bytes });
  const size = bytes.length;
  assert.equal(size, 183, "the circle names its own size");
  await assert.rejects(() => pull.resolve(), refused("untrusted", /has another digest/));
});

Deno.test("schema 1, confusion of types, and what is no image are refused", async () => {
  await using pull = new PullFixture();
  const { registry } = pull;
  const image = imageIn(registry, [noise(10, 1)]);
  const config = described("application/vnd.oci.image.config.v1+json", image.config);
  const good = { schemaVersion: 2, config, layers: [] };
  const schema1 = { schemaVersion: 1, name: "x", fsLayers: [{ blobSum: "sha256:x" }] };
  const layer = (mediaType: string) => ({
    ...good,
    layers: [described(mediaType, image.layers[0] ?? image.config)],
  });
  const cases: [unknown, string, "untrusted" | "precondition", RegExp][] = [
    [
      schema1,
      "application/vnd.docker.distribution.manifest.v1+prettyjws",
      "precondition",
      /schema 1/,
    ],
    [schema1, manifestType, "precondition", /schema 1/],
    [{ ...good, manifests: [] }, manifestType, "untrusted", /as a manifest and as an index/],
    [good, indexType, "untrusted", /as a manifest and as an index/],
    [{ ...good, mediaType: indexType }, dockerType, "untrusted", /as a manifest and as an index/],
    [{ ...good, mediaType: "text/x" }, dockerType, "untrusted", /unknown type "text\/x"/],
    [{}, manifestType, "untrusted", /neither a manifest nor an index/],
    [[], manifestType, "untrusted", /neither a manifest/],
    ["<html>", "text/html", "untrusted", /is no JSON/],
    ["[".repeat(100_000), manifestType, "untrusted", /nests deeper/],
    [
      { ...good, config: { ...config, mediaType: "application/vnd.cncf.helm.config.v1+json" } },
      manifestType,
      "precondition",
      /no container image: "application\/vnd\.cncf\.helm/,
    ],
    [{ ...good, config: { ...config, size: -1 } }, manifestType, "untrusted", /"config\.size"/],
    [{ ...good, config: { ...config, size: 1e300 } }, manifestType, "untrusted", /"config\.size"/],
    [
      { ...good, config: { ...config, digest: "sha256:../../x" } },
      manifestType,
      "untrusted",
      /"config\.digest"/,
    ],
    [good, manifestType, "untrusted", /it has 0 layers, its configuration 1/],
    [
      layer("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
      manifestType,
      "precondition",
      /another place, which is not followed/,
    ],
    [
      layer("application/vnd.oci.image.layer.v1.tar+gzip+encrypted"),
      manifestType,
      "precondition",
      /is of a type that is not known/,
    ],
    [{ ...good, layers: Array(501).fill(config) }, manifestType, "untrusted", /"layers"/],
  ];
  for (const [content, type, kind, message] of cases) {
    registry.addManifest(content, "latest", type);
    await assert.rejects(() => pull.resolve(), refused(kind, message), JSON.stringify(content));
  }
});

Deno.test("sizes beyond a limit, and two sizes of one layer, are refused", async () => {
  await using pull = new PullFixture();
  const { registry } = pull;
  const layer = registry.addBlob(noise(10, 1));
  const withLayers = (sizes: number[]) => {
    const image = imageIn(registry, sizes.map(() => layer.bytes));
    registry.addManifest({
      schemaVersion: 2,
      config: described("application/vnd.oci.image.config.v1+json", image.config),
      layers: sizes.map((size) => ({
        ...described("application/vnd.oci.image.layer.v1.tar", layer),
        size,
      })),
    }, "latest");
  };
  withLayers([10, 10, 10]);
  const image = await pull.pull();
  assert.equal(image.layers.length, 3);
  assert.equal(image.layerBytes, 10);
  assert.equal(registry.requests(layer.digest).length, 1, "one layer three times is one download");
  withLayers([10, 11]);
  await assert.rejects(() => pull.resolve(), refused("untrusted", /two sizes/));
  withLayers([65 * 1024 ** 3]);
  await assert.rejects(() => pull.resolve(), refused("exhausted", /over the limit/, "IMAGE_LIMIT"));
});

Deno.test("a configuration is data with bounds", async () => {
  await using pull = new PullFixture();
  const { registry } = pull;
  const config = (own: Record<string, unknown>) =>
    imageIn(registry, [noise(10, 1)], { config: { config: own } });
  config({
    Env: ["A=b", "broken", "=x"],
    WorkingDir: "srv",
    User: "1000:1000",
    Entrypoint: null,
    Cmd: ["sh", "-c", "echo\n"],
    Labels: { "a\nb": "c" },
  });
  const { config: read } = await pull.resolve();
  assert.deepEqual(read.env, ["A=b"]);
  assert.deepEqual([read.workingDir, read.user, read.entrypoint], ["/srv", "1000:1000", []]);
  assert.deepEqual(read.cmd, ["sh", "-c", "echo\n"]);
  for (
    const own of [
      { Env: ["A=\0"] },
      { Env: "A=b" },
      { Env: Array(5000).fill("A=b") },
      { Cmd: [1] },
      { Cmd: ["x".repeat(200_000)] },
      { WorkingDir: "/a\0b" },
      { User: "../../etc" },
      { User: "a b" },
    ]
  ) {
    config(own);
    await assert.rejects(() => pull.resolve(), refused("untrusted", /its configuration sha256:/));
  }
});

Deno.test("any bytes are a manifest or configuration, or are refused", () => {
  const subject = { label: "x", hint: "y" };
  const words = [
    ...["schemaVersion", "mediaType", "manifests", "config", "layers", "digest", "size", "rootfs"],
    ...["platform", "os", "architecture", "diff_ids", "type", "Env", "__proto__", "annotations"],
  ];
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.constantFrom(
        null,
        2,
        -1,
        "layers",
        indexType,
        manifestType,
        `sha256:${"0".repeat(64)}`,
        "",
      ),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...words), tie("value"), { maxKeys: 6 }),
    ),
  })).value;
  const bytes = fc.oneof(
    json.map((value) => new TextEncoder().encode(JSON.stringify(value))),
    fc.uint8Array(),
  );
  fc.assert(
    fc.property(bytes, fc.constantFrom(null, indexType, manifestType), (content, mediaType) => {
      for (
        const parse of [
          () => parseManifest({ bytes: content, mediaType, said: null }, subject, "it"),
          () => parseImageConfig(content, subject, "it"),
        ]
      ) {
        try {
          parse();
        } catch (error) {
          assert.ok(error instanceof BangerError, String(error));
        }
      }
    }),
    { numRuns: 500 },
  );
});
