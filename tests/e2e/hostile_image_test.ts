/** Images and registries that mean harm, pulled with the built program: refused, and nothing is left. */
import assert from "node:assert/strict";
import type { Banger } from "../support/banger.ts";
import { daemonPid, freshTest, namesIn, refused } from "../support/end_to_end.ts";
import { FakeRegistry } from "../support/fake_registry.ts";
import {
  benignLayer,
  digestOf,
  gzipLayer,
  type ServedLayer,
  serveImage,
  zeroBomb,
} from "../support/hostile_images.ts";
import { entryBytes, type FixtureEntry, joined, tarOf } from "../support/layer_fixture.ts";
import { isBangers, MemoryProbe } from "../support/memory_probe.ts";

/** Names of what a pull leaves while it runs, or for good. */
async function leftBehind(banger: Banger): Promise<Record<string, readonly string[]>> {
  const [state, cache] = [`${banger.home}/.local/state/banger`, `${banger.home}/.cache/banger`];
  return {
    staging: await namesIn(`${state}/staging`),
    images: await namesIn(`${state}/images`),
    blobs: await namesIn(`${cache}/blobs/sha256`).catch(() => []),
  };
}

/** Asserts that nothing is left of an image but what describes it. */
async function nothingLeft(banger: Banger, layers: readonly { digest: string }[]): Promise<void> {
  const { staging, images, blobs } = await leftBehind(banger);
  assert.deepEqual([staging, images], [[], []]);
  for (const { digest } of layers) {
    const hex = digest.slice("sha256:".length);
    assert.ok(!(blobs ?? []).some((name) => name.startsWith(hex)), `${digest} is kept`);
  }
}

/** A benign image is pulled as before. */
async function benignComes(banger: Banger, registry: FakeRegistry): Promise<void> {
  serveImage(registry, "benign", [benignLayer()]);
  await banger.ok(["image", "pull", `${registry.domain}/team/app:benign`]);
  await banger.ok(["image", "delete", "app-benign"]);
}

const hostileArchives: readonly (readonly [
  name: string,
  layers: readonly (readonly FixtureEntry[])[],
  words: RegExp,
])[] = [
  [
    "up",
    [[{ name: "a/../../../etc/x" }]],
    /entry "a\/\.\.\/\.\.\/\.\.\/etc\/x" has "\.\." in its name/,
  ],
  ["root-symlink", [[{ name: ".", flag: "2", link: "/etc" }]], /entry "\." would replace the root/],
  [
    "link-chain",
    [
      [{ name: "a", flag: "2", link: "/b" }, { name: "b", flag: "2", link: "../../../etc" }],
      [{ name: "x", flag: "1", link: "a/shadow" }],
    ],
    /entry "x" is a link to "a\/shadow", which does not exist/,
  ],
  [
    "link-outside",
    [[{ name: "x", flag: "1", link: "../../etc/shadow" }]],
    /is a link that has "\.\."/,
  ],
  ["link-absolute", [[{ name: "x", flag: "1", link: "/etc/shadow" }]], /which does not exist/],
  ["below-file", [[{ name: "f" }, { name: "f/x" }]], /entry "f\/x" is below something that is no/],
  ["circle", [[{ name: "l", flag: "2", link: "l" }, { name: "l/x" }]], /more than 40 symlinks/],
  ["nul", [[{ name: "x", pax: { path: "a\0b" } }]], /has a NUL in its name/],
  ["negative-size", [[{ name: "x", pax: { size: "-1" } }]], /has a damaged size/],
  ["negative-owner", [[{ name: "x", pax: { uid: "-1" } }]], /has a damaged owner/],
  ["whiteout", [[{ name: "d/.wh.." }]], /entry "d\/\.wh\.\." is a whiteout of no name/],
  ["device", [[{ name: "d", flag: "4", major: 5000, minor: 1 }]], /has a device number/],
  [
    "attribute",
    [[{ name: "x", xattrs: { ["user." + "n".repeat(300)]: "v" } }]],
    /attribute whose name/,
  ],
  ["escape", [[{ name: "\x1b]52;c;x\x07../.." }]], /entry "\\x1b\]52;c;x\\x07\.\.\/\.\."/],
];

freshTest(
  "hostile archives are refused with digest, entry and rule; others come",
  async (banger) => {
    await using registry = new FakeRegistry();
    for (const [tag, layers, words] of hostileArchives) {
      const served = layers.map((entries) => gzipLayer(tarOf(entries)));
      const { layers: blobs } = serveImage(registry, tag, served);
      const reference = `${registry.domain}/team/app:${tag}`;
      const { stderr } = await refused(banger, ["image", "pull", reference], 1, words);
      assert.match(
        stderr,
        new RegExp(`Error: Cannot unpack layer "${blobs.at(-1)?.digest}": entry `),
      );
      assert.ok(!stderr.includes("\x1b]"), "the name reached the terminal");
      await nothingLeft(banger, blobs);
    }
    await benignComes(banger, registry);
  },
);

freshTest(
  "what an image may hold stays inside it: devices, absolute names, links out",
  async (banger) => {
    await using registry = new FakeRegistry();
    const canary = `${banger.home}/canary`;
    await Deno.writeTextFile(canary, "untouched");
    serveImage(registry, "odd", [
      gzipLayer(tarOf([
        { name: "dev/sda", flag: "4", major: 8, minor: 0, mode: 0o666 },
        { name: "out", flag: "2", link: banger.home },
        { name: "up", flag: "2", link: "../../../../../../.." },
      ])),
      gzipLayer(tarOf([
        { name: "out/canary", content: "changed" },
        { name: `up${canary}`, content: "changed" },
        { name: canary, content: "changed" },
        {
          name: "su",
          mode: 0o4755,
          xattrs: { "security.capability": "\x01\0\0\x02" + "\0".repeat(16) },
        },
        ...Array.from({ length: 2000 }, () => ({ name: "dev/.wh..wh..opq" })),
      ])),
    ]);
    const before = new Set((await leftBehind(banger).catch(() => ({ staging: [] }))).staging);
    assert.equal(before.size, 0);
    await banger.ok(["image", "pull", `${registry.domain}/team/app:odd`]);
    assert.equal(await Deno.readTextFile(canary), "untouched");
    await banger.ok(["image", "delete", "app-odd"]);
  },
);

const wrong = `sha256:${"ab".repeat(32)}`;

freshTest("bombs end at a limit, in little memory, and leave nothing", async (banger) => {
  await using registry = new FakeRegistry();
  await banger.ok(["vm", "list"]);
  const daemon = await daemonPid(banger);
  const many = Array.from({ length: 2000 }, (_, at) => entryBytes({ name: `f${at}` }));
  const entries = joined(Array.from({ length: 305 }, () => joined(many)));
  const sparse = {
    "GNU.sparse.name": "s",
    "GNU.sparse.size": String(2 ** 45),
    "GNU.sparse.realsize": String(2 ** 45),
    "GNU.sparse.map": `0,1,${2 ** 45 - 1},1`,
  };
  const bombs: readonly (readonly [string, ServedLayer, RegExp])[] = [
    ["zeros", zeroBomb(10), /it inflates to more than 200 times its size/],
    ["entries", gzipLayer(entries), /is beyond the limit of 600000 entries/],
    [
      "sparse",
      gzipLayer(tarOf([{ name: "x", content: "ab", pax: sparse }])),
      /more than ext4 can hold/,
    ],
    [
      "header",
      gzipLayer(tarOf([{ name: "x", pax: { comment: "c".repeat(2 * 1024 ** 2) } }])),
      /extended header of more than/,
    ],
  ];
  for (const [tag, layer, words] of bombs) {
    const { layers } = serveImage(registry, tag, [layer]);
    await using probe = new MemoryProbe(() => [daemon, Deno.pid], isBangers);
    const reference = `${registry.domain}/team/app:${tag}`;
    const { stderr } = await refused(
      banger,
      ["image", "pull", reference],
      1,
      words,
    );
    assert.match(stderr, new RegExp(`Cannot unpack layer "${layers[0]?.digest}": `));
    const peakMib = await probe.stop();
    assert.ok(peakMib > 50 && peakMib <= 300, `${tag}: ${peakMib.toFixed(0)} MiB`);
    await nothingLeft(banger, layers);
  }
  assert.equal(await daemonPid(banger), daemon);
  await benignComes(banger, registry);
});

freshTest(
  "lies of a registry are refused with the digest, and nothing of them is kept",
  async (banger) => {
    await using registry = new FakeRegistry();
    const { layers: [layer] } = serveImage(registry, "truth", [benignLayer()]);
    const spoiled = (tag: string, change: (layer: Record<string, unknown>) => unknown) =>
      serveImage(registry, tag, [benignLayer()], (manifest) => ({
        ...manifest,
        layers: (manifest["layers"] as Record<string, unknown>[]).map(change),
      }));
    const digest = layer?.digest ?? "";
    const size = layer?.bytes.length ?? 0;
    const other = new Uint8Array(layer?.bytes.length ?? 0).fill(7);
    registry.blobs.set(wrong, other);
    spoiled("digest", (each) => ({ ...each, digest: wrong }));
    spoiled("size", (each) => ({ ...each, size: size + 1 }));
    spoiled("path", (each) => ({ ...each, digest: "sha256:../../x" }));
    spoiled("urls", (each) => ({
      ...each,
      digest: `sha256:${"cd".repeat(32)}`,
      urls: [
        `http://${registry.domain}/foreign`,
      ],
    }));
    const wrongDiff = { ...benignLayer(), diffId: digestOf(other) };
    serveImage(registry, "diff", [wrongDiff]);
    const cut = gzipLayer(
      tarOf([{ name: "noise", content: crypto.getRandomValues(new Uint8Array(60_000)) }]),
    );
    serveImage(registry, "cut", [{ ...cut, stored: cut.stored.subarray(0, 30_000) }]);
    for (
      const [tag, code, words] of [
        ["digest", 1, new RegExp(`what came for ${wrong} has another digest`)],
        ["size", 1, new RegExp(`${digest} has ${size} bytes, ${size + 1} were expected`)],
        ["path", 1, /digest/],
        ["urls", 3, /has no blob sha256:cdcd/],
        ["diff", 1, new RegExp(`layer "${digest}": the digest of its content is sha256:.*, not `)],
        ["cut", 1, /Cannot unpack layer "sha256:[0-9a-f]{64}": it cannot be inflated: /],
      ] as const
    ) {
      await refused(banger, ["image", "pull", `${registry.domain}/team/app:${tag}`], code, words);
      await nothingLeft(banger, [{ digest }, { digest: wrong }]);
    }
    assert.deepEqual(registry.requests("/foreign"), []);
    await benignComes(banger, registry);
  },
);

freshTest("credentials go nowhere but to their registry", async (banger) => {
  await using registry = new FakeRegistry();
  await using elsewhere = new FakeRegistry();
  serveImage(registry, "1", [benignLayer()]);
  serveImage(elsewhere, "1", [benignLayer()]);
  const secret = btoa("ann:s3cr3t-words");
  await Deno.mkdir(`${banger.home}/.docker`, { mode: 0o700 });
  await Deno.writeTextFile(
    `${banger.home}/.docker/config.json`,
    JSON.stringify({ auths: { [registry.domain]: { auth: secret } } }),
  );
  // A token server of somebody else's.
  registry.misbehave = () =>
    new Response("{}", {
      status: 401,
      headers: {
        "www-authenticate": `Bearer realm="http://${elsewhere.domain}/token",service="x"`,
      },
    });
  const reference = `${registry.domain}/team/app:1`;
  const { stderr } = await refused(
    banger,
    ["image", "pull", reference],
    5,
    /token server|credentials/,
  );
  // Content that is somewhere else.
  registry.misbehave = (request) => {
    const { pathname } = new URL(request.url);
    if (request.headers.get("authorization") !== `Basic ${secret}`) {
      return new Response("{}", {
        status: 401,
        headers: { "www-authenticate": 'Basic realm="x"' },
      });
    }
    return pathname.includes("/blobs/")
      ? Response.redirect(`http://${elsewhere.domain}${pathname}`, 307)
      : undefined;
  };
  await banger.ok(["image", "pull", reference]);
  await banger.ok(["image", "delete", "app-1"]);
  assert.ok(elsewhere.seen.length > 0, "the redirect was followed");
  assert.deepEqual(elsewhere.seen.filter(({ authorization }) => authorization !== null), []);
  const log = await Deno.readTextFile(`${banger.home}/.local/state/banger/daemon.log`).catch(() =>
    ""
  );
  for (const word of [secret, "s3cr3t"]) {
    assert.ok(!`${stderr}${log}`.includes(word));
    assert.ok(!JSON.stringify(elsewhere.seen).includes(word));
  }
});
