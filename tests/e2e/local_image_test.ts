/** Images in the user's files, OCI layouts and archives of docker save, through the built program. */
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { run } from "../../src/process/run.ts";
import type { Banger } from "../support/banger.ts";
import {
  firstRunMs,
  freshTest,
  namesIn,
  type Need,
  refused,
  stateDirOf,
  until,
  vmTest,
  WatchedRun,
} from "../support/end_to_end.ts";
import { configOf, layoutOf, writeLayout } from "../support/layout_fixture.ts";
import {
  busyboxLayout,
  editJson,
  needsImageTools,
  skopeoCopy,
  tarOfDir,
} from "../support/local_images.ts";
import { skipUnless } from "../support/require.ts";
import { type TarFixtureEntry, tarOf } from "../support/tar_fixture.ts";

/** One layer with one file. */
const layer = (text: string) =>
  tarOf([{ name: "etc/", type: "5" }, { name: "etc/x", content: text }]);
const written = /Writing the file system/;

async function withDir(act: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-local-image-" });
  try {
    await act(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** A test without a VM, with a directory of its own. */
function localTest(
  name: string,
  body: (banger: Banger, dir: string) => Promise<void>,
  ...needs: Need[]
): void {
  freshTest(name, (banger) => withDir((dir) => body(banger, dir)), ...needs);
}

async function shown(banger: Banger, name: string) {
  return JSON.parse(await banger.ok(["image", "show", name, "--json"])).image;
}

/** What `debugfs` reads in a file system that is not mounted. */
async function contentOf(rootfs: string, path: string): Promise<string> {
  const { stdout } = await run("debugfs", ["-R", `cat ${path}`, rootfs], { timeoutMs: 20_000 });
  return new TextDecoder().decode(stdout);
}

const boots = "images of a layout and of an archive boot, and run as they say";
if (!skipUnless(boots, needsImageTools.met, needsImageTools.otherwise)) {
  vmTest(boots, async (banger) => {
    await withDir(async (dir) => {
      const layout = await busyboxLayout(dir);
      await skopeoCopy(`oci:${layout}:1`, `docker-archive:${dir}/app.tar:team/app:2`);
      const script = "id; pwd; echo $GREETING; cat /etc/kept; ls /etc";
      try {
        for (const source of ["oci:busybox:1", "docker-archive:app.tar"]) {
          const said = await banger.ok(
            ["vm", "run", "--rm", "--no-workspace", "--image", source, "--", "sh", "-c", script],
            { timeoutMs: firstRunMs, cwd: dir },
          );
          assert.match(
            said,
            /^uid=7\(app\) gid=8.*\n\/srv\nhi there\nabove\n(?:(?!gone).*\n)*$/,
            source,
          );
        }
        assert.equal((await shown(banger, "busybox-1")).source, `oci:${layout}:1`);
        assert.equal((await shown(banger, "app-2")).source, `docker-archive:${dir}/app.tar`);
      } finally {
        // The cached home is the next test's.
        for (const left of ["busybox-1", "app-2"]) await banger.run(["image", "delete", left]);
      }
    });
  });
}

localTest(
  "what umoci and skopeo make is pulled in every form, each a sound file system",
  async (banger, dir) => {
    const layout = await busyboxLayout(dir);
    await skopeoCopy(`oci:${layout}:1`, `docker-archive:${dir}/old.tar:team/app:2`);
    // As docker save has written it since version 25: a layout, and its manifest.json besides.
    const plain = `${dir}/plain`;
    await skopeoCopy(`docker-archive:${dir}/old.tar`, `oci:${plain}:x`);
    const index = JSON.parse(await Deno.readTextFile(`${plain}/index.json`));
    const blob = (digest: string) => `blobs/${digest.replace(":", "/")}`;
    const manifest = JSON.parse(
      await Deno.readTextFile(`${plain}/${blob(index.manifests[0].digest)}`),
    );
    await Deno.writeTextFile(
      `${plain}/manifest.json`,
      JSON.stringify([{
        Config: blob(manifest.config.digest),
        RepoTags: ["team/new:3"],
        Layers: manifest.layers.map(({ digest }: { digest: string }) => blob(digest)),
      }]),
    );
    await tarOfDir(plain, `${dir}/new.tar`);
    // As podman save --format=oci-archive writes it.
    await tarOfDir(layout, `${dir}/layout.tar`);
    await run("gzip", ["-k", `${dir}/old.tar`], { timeoutMs: 60_000 });
    const sources: [string, string][] = [
      [`oci:${layout}`, "busybox"],
      [`docker-archive:${dir}/old.tar`, "app-2"],
      [`docker-archive:${dir}/new.tar`, "new-3"],
      [`docker-archive:${dir}/layout.tar:any:1`, "any-1"],
      [`docker-archive:${dir}/old.tar.gz:team/app:2`, "zipped"],
    ];
    for (const [source, name] of sources) {
      const named = name === "zipped" ? ["--name", name] : [];
      const { code, stderr } = await banger.run(["image", "pull", ...named, source]);
      assert.equal(code, 0, stderr);
      assert.match(stderr, new RegExp(`Image "${name}" is here`), source);
      const { rootfsPath } = await shown(banger, name);
      await run("e2fsck", ["-fn", rootfsPath], { timeoutMs: 60_000 });
      assert.equal(await contentOf(rootfsPath, "/etc/kept"), "above\n", source);
      assert.equal(await contentOf(rootfsPath, "/etc/gone"), "", source);
    }
    for (const [source, name] of sources) {
      const again = await banger.run(["image", "pull", "--refresh", "--name", name, source]);
      assert.equal(again.code, 0, again.stderr);
      assert.doesNotMatch(again.stderr, written);
    }
    const here = await banger.run(["image", "pull", "--name", "zipped", sources[4]![0]]);
    assert.doesNotMatch(here.stderr, /Uncompressing/, "what is here is not read");
  },
  needsImageTools,
);

localTest("a layout's index chooses this processor's image, and the tag one of several", async (
  banger,
  dir,
) => {
  await writeLayout(dir, layoutOf({ "1": [layer("one")], "2": [layer("two")] }));
  await refused(
    banger,
    ["image", "pull", `oci:${dir}`],
    4,
    /it has several images: "1", "2"\n {2}hint: Name one of them, as oci:DIR:TAG/,
  );
  await refused(banger, ["image", "pull", `oci:${dir}:3`], 3, /it has no "3": it has "1", "2"/);
  await banger.ok(["image", "pull", "--name", "two", `oci:${dir}:2`]);
  assert.equal(await contentOf((await shown(banger, "two")).rootfsPath, "/etc/x"), "two");
  // The same two again as one image for two processors, of which the other comes first.
  await editJson(`${dir}/index.json`, (index) => {
    const platforms = ["s390x", Deno.build.arch === "x86_64" ? "amd64" : "arm64"];
    for (const [at, entry] of index.manifests.entries()) {
      delete entry.annotations;
      entry.platform = { os: "linux", architecture: platforms[at] };
    }
  });
  await banger.ok(["image", "pull", "--name", "ours", `oci:${dir}`]);
  assert.equal(await contentOf((await shown(banger, "ours")).rootfsPath, "/etc/x"), "two");
  await editJson(`${dir}/index.json`, (index) => void index.manifests.pop());
  await refused(banger, ["image", "pull", "--name", "z", `oci:${dir}`], 3, /linux\/s390x/);
});

/** An archive as Docker before 25 wrote it, of images with one layer each. */
function archiveOf(images: Readonly<Record<string, string>>): TarFixtureEntry[] {
  const manifest: object[] = [];
  const entries: TarFixtureEntry[] = [];
  for (const [tag, text] of Object.entries(images)) {
    const content = layer(text);
    entries.push({ name: `${text}/layer.tar`, content });
    entries.push({ name: `${text}.json`, content: configOf([content]).bytes });
    manifest.push({ Config: `${text}.json`, RepoTags: [tag], Layers: [`${text}/layer.tar`] });
  }
  return [...entries, { name: "manifest.json", content: JSON.stringify(manifest) }];
}

localTest("of several images in an archive one is named, or they are listed", async (
  banger,
  dir,
) => {
  const file = `${dir}/two.tar`;
  await Deno.writeFile(file, tarOf(archiveOf({ "team/a:1": "one", "b:latest": "two" })));
  await refused(
    banger,
    ["image", "pull", `docker-archive:${file}`],
    4,
    /it has 2 images: "team\/a:1", "b:latest"\n {2}hint: Name one of them, as docker-archive:FILE/,
  );
  await refused(banger, ["image", "pull", `docker-archive:${file}:c`], 3, /it has "team\/a:1"/);
  await banger.ok(["image", "pull", `docker-archive:${file}:b`]);
  assert.equal(await contentOf((await shown(banger, "b")).rootfsPath, "/etc/x"), "two");
  // Nothing is read without --refresh; with it, what has changed is another image.
  await Deno.writeFile(file, tarOf(archiveOf({ "b:latest": "three" })));
  await banger.ok(["image", "pull", `docker-archive:${file}:b`]);
  assert.equal(await contentOf((await shown(banger, "b")).rootfsPath, "/etc/x"), "two");
  await banger.ok(["image", "pull", "--refresh", `docker-archive:${file}:b`]);
  assert.equal(await contentOf((await shown(banger, "b")).rootfsPath, "/etc/x"), "three");
});

/** What is wrong with a layout, and what is said about it. */
const badLayouts: readonly [string, (dir: string) => Promise<unknown>, number, RegExp][] = [
  ["is not there", (dir) => Deno.remove(dir, { recursive: true }), 3, /there is no such directory/],
  ["has no oci-layout", (dir) => Deno.remove(`${dir}/oci-layout`), 3, /it has no oci-layout/],
  ["has no index.json", (dir) => Deno.remove(`${dir}/index.json`), 3, /it has no index\.json/],
  [
    "has an index that is no JSON",
    (dir) => Deno.writeTextFile(`${dir}/index.json`, "root:x:0:0"),
    1,
    /its index\.json is no JSON/,
  ],
  [
    "has an index that nests deeply",
    (dir) => Deno.writeTextFile(`${dir}/index.json`, "[".repeat(1e5)),
    1,
    /nests deeper/,
  ],
  [
    "has an index of 5 MiB",
    (dir) => Deno.truncate(`${dir}/index.json`, 5 * 1024 ** 2),
    1,
    /over the limit/,
  ],
  [
    "has no image",
    (dir) => editJson(`${dir}/index.json`, (index) => void (index.manifests = [])),
    3,
    /it has no image/,
  ],
  [
    "names a path for a digest",
    (dir) =>
      editJson(`${dir}/index.json`, (index) => {
        index.manifests[0].digest = "sha256:../../../../etc/passwd";
      }),
    1,
    /"manifests\.0\.digest"/,
  ],
  [
    "tells another size for its manifest",
    (dir) => editJson(`${dir}/index.json`, (index) => void index.manifests[0].size++),
    1,
    /bytes, \d+ were expected/,
  ],
  [
    "has a symbolic link out of it for an index",
    async (dir) => {
      await Deno.rename(`${dir}/index.json`, `${dir}.json`);
      await Deno.symlink(`${dir}.json`, `${dir}/index.json`);
    },
    5,
    /it is no regular file/,
  ],
  [
    "has a link for a layer",
    (dir) => replaceLayer(dir, (path) => Deno.symlink("/etc/passwd", path)),
    5,
    /no regular file/,
  ],
  [
    "has a FIFO for a layer",
    (dir) => replaceLayer(dir, (path) => run("mkfifo", [path])),
    5,
    /no regular file/,
  ],
  [
    "has a layer of another size",
    (dir) => replaceLayer(dir, (path) => Deno.writeFile(path, layer("onetwo").subarray(512))),
    1,
    /were expected/,
  ],
  [
    "has a layer of another content",
    (dir) => replaceLayer(dir, (path) => Deno.writeFile(path, layer("two"))),
    1,
    /another digest|is not/,
  ],
  [
    "lacks a layer",
    (dir) => replaceLayer(dir, () => Promise.resolve()),
    3,
    /it has no blobs\/sha256/,
  ],
];

async function replaceLayer(
  dir: string,
  put: (path: string) => Promise<unknown>,
): Promise<void> {
  for await (const { name } of Deno.readDir(`${dir}/blobs/sha256`)) {
    const path = `${dir}/blobs/sha256/${name}`;
    if ((await Deno.stat(path)).size !== layer("one").length) continue;
    await Deno.remove(path);
    await put(path);
  }
}

localTest("a layout that is damaged or hostile is refused, and nothing is left", async (
  banger,
  dir,
) => {
  for (const [what, spoil, code, words] of badLayouts) {
    const layout = `${dir}/${what.replace(/\W/g, "-")}`;
    await writeLayout(layout, layoutOf({ "": [layer("one")] }));
    await spoil(layout);
    const { stderr } = await refused(banger, ["image", "pull", `oci:${layout}`], code, words);
    assert.doesNotMatch(stderr, /root:x:0/, what);
  }
  await nothingLeft(banger);
});

/** What is wrong with an archive, and what is said about it. */
const badArchives: readonly [string, Uint8Array, number, RegExp][] = [
  ["is empty", new Uint8Array(0), 1, /damaged or no tar/],
  ["is text", new TextEncoder().encode("root:x:0:0\n"), 1, /damaged or no tar/],
  ["is cut off", tarOf(archiveOf({ a: "one" })).subarray(0, 1536), 1, /cut off|damaged/],
  ["has neither manifest nor index", tarOf([{ name: "x", content: "" }]), 1, /no manifest\.json/],
  [
    "has a manifest that is no JSON",
    tarOf([{ name: "manifest.json", content: "root:x:0" }]),
    1,
    /is no JSON/,
  ],
  [
    "has its manifest behind a link out of it",
    tarOf([{ name: "manifest.json", type: "2", link: "/etc/passwd" }]),
    1,
    /no manifest\.json/,
  ],
  [
    "names a configuration out of it",
    tarOf([{ name: "manifest.json", content: '[{"Config":"../../etc/passwd","Layers":[]}]' }]),
    1,
    /has no "\.\.\/\.\.\/etc\/passwd"/,
  ],
  [
    "lacks a layer",
    tarOf(archiveOf({ a: "one" }).filter(({ name }) => !name.endsWith("layer.tar"))),
    1,
    /has no layer "one\/layer\.tar"/,
  ],
  [
    "has another layer than its configuration says",
    tarOf(
      archiveOf({ a: "one" }).map((entry) =>
        entry.name.endsWith("layer.tar") ? { ...entry, content: layer("two") } : entry
      ),
    ),
    1,
    /another digest|is not/,
  ],
];

localTest("an archive that is damaged or hostile is refused, and nothing is left", async (
  banger,
  dir,
) => {
  for (const [what, bytes, code, words] of badArchives) {
    const file = `${dir}/${what.replace(/\W/g, "-")}.tar`;
    await Deno.writeFile(file, bytes);
    const pull = ["image", "pull", `docker-archive:${file}`];
    const { stderr } = await refused(banger, pull, code, words);
    assert.doesNotMatch(stderr, /root:x:0/, what);
  }
  const pull = (path: string) => ["image", "pull", `docker-archive:${path}`];
  const zipped = gzipSync(tarOf(archiveOf({ a: "one" })));
  await Deno.writeFile(`${dir}/cut.tar.gz`, zipped.subarray(0, zipped.length / 2));
  await refused(
    banger,
    pull(`${dir}/cut.tar.gz`),
    1,
    /Cannot uncompress.*it is damaged or cut off/,
  );
  await Deno.writeFile(`${dir}/zeros.tar.gz`, gzipSync(new Uint8Array(50_000_000)));
  await refused(banger, pull(`${dir}/zeros.tar.gz`), 1, /it has no image|no manifest\.json/);
  await Deno.writeFile(`${dir}/app.tar.xz`, Uint8Array.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0]));
  await refused(banger, pull(`${dir}/app.tar.xz`), 5, /it is compressed|its archive is compressed/);
  await refused(banger, pull(`${dir}/none.tar`), 3, /there is no such file/);
  await refused(banger, pull(dir), 5, /it is no regular file/);
  await refused(banger, pull("/dev/zero"), 5, /it is no regular file/);
  await run("mkfifo", [`${dir}/fifo`]);
  await refused(banger, pull(`${dir}/fifo`), 5, /it is no regular file/);
  await refused(banger, ["image", "pull", "docker-archive:"], 2, /it names no path/);
  await refused(banger, ["image", "pull", "oci:dir:-x"], 2, /is no tag/);
  await nothingLeft(banger);
});

/** A layout with one layer that takes a moment to read. */
async function writeLargeLayout(dir: string): Promise<void> {
  const noise = new Uint8Array(300 * 1024 ** 2);
  for (let at = 0; at < noise.length; at += 65536) {
    crypto.getRandomValues(noise.subarray(at, at + 65536));
  }
  await writeLayout(dir, layoutOf({ "": [tarOf([{ name: "noise", content: noise }])] }));
}

localTest("two pulls of one layout at once are one, which goes on when either ends", async (
  banger,
  dir,
) => {
  const layout = `${dir}/large`;
  await writeLargeLayout(layout);
  await banger.ok(["image", "list"]);
  const state = await stateDirOf(banger);
  const begun = async () => (await namesIn(`${state}/staging`)).length > 0;
  for (const killed of [0, 1]) {
    const pulls = [0, 1].map(() => new WatchedRun(banger, ["image", "pull", `oci:${layout}`]));
    await until("the file system is begun", begun);
    pulls[killed]!.kill("SIGKILL");
    assert.equal(await pulls[killed]!.end(), 137);
    const other = pulls[1 - killed]!;
    assert.equal(await other.end(), 0, other.stderr);
    await run("e2fsck", ["-fn", (await shown(banger, "large")).rootfsPath], { timeoutMs: 60_000 });
    await banger.ok(["image", "delete", "large"]);
  }
  await nothingLeft(banger);
});

localTest("Ctrl-C ends a pull and leaves nothing, and so does an end without a word", async (
  banger,
  dir,
) => {
  await writeLargeLayout(dir);
  await banger.ok(["image", "list"]);
  const staging = `${await stateDirOf(banger)}/staging`;
  for (const [signal, code] of [["SIGINT", 130], ["SIGKILL", 137]] as const) {
    const pull = new WatchedRun(banger, ["image", "pull", `oci:${dir}`]);
    await until("the file system is begun", async () => (await namesIn(staging)).length > 0);
    pull.kill(signal);
    assert.equal(await pull.end(), code, pull.stderr);
    await until("the staging directory is gone", async () => (await namesIn(staging)).length === 0);
  }
  await nothingLeft(banger);
});

async function nothingLeft(banger: Banger): Promise<void> {
  assert.deepEqual(JSON.parse(await banger.ok(["image", "list", "--json"])).images, []);
  const state = await stateDirOf(banger);
  for (const place of ["staging", "images"]) {
    assert.deepEqual(await namesIn(`${state}/${place}`), []);
  }
}
