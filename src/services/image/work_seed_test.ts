import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { flattenHere } from "../../../tests/support/flatten_here.ts";
import { recordingReporter } from "../../../tests/support/image_service_fixture.ts";
import { type FixtureEntry, tarOf } from "../../../tests/support/layer_fixture.ts";
import type { Digest } from "../../model/digest.ts";
import { BlobStore } from "../../oci/blob_store.ts";
import { run } from "../../process/run.ts";
import { makeWorkSeed } from "./work_seed.ts";

/** A store and a staging directory with the tar of `entries`, and what makes a seed of it. */
async function withSeed(
  entries: readonly FixtureEntry[],
  body: (at: {
    readonly make: () => ReturnType<typeof makeWorkSeed>;
    readonly store: BlobStore;
    readonly digest: Digest;
    readonly tar: Uint8Array;
    readonly stagingDir: string;
    readonly look: (request: string) => Promise<string>;
  }) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-work-seed-" });
  try {
    const [stagingDir, blobsDir] = [`${dir}/staging/image-1`, `${dir}/blobs`];
    await Deno.mkdir(stagingDir, { recursive: true });
    const store = BlobStore.open(blobsDir, Deno.uid()!);
    const tar = tarOf(entries);
    const digest: Digest = `sha256:${createHash("sha256").update(tar).digest("hex")}`;
    await Deno.writeFile(`${stagingDir}/work-seed.tar`, tar);
    await body({
      store,
      digest,
      tar,
      stagingDir,
      make: () =>
        makeWorkSeed(
          { store, flatten: flattenHere({ stagingDir: `${dir}/staging`, blobsDir }) },
          { file: "work-seed.tar", digest, size: tar.length },
          { stagingDir, reporter: recordingReporter(), signal: new AbortController().signal },
        ),
      look: async (request) => {
        const path = `${stagingDir}/work-seed.ext4`;
        const { stdout } = await run("debugfs", ["-R", request, path], { timeoutMs: 30_000 });
        return new TextDecoder().decode(stdout);
      },
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const seed: readonly FixtureEntry[] = [
  { name: "./", mode: 0o711, uid: 7, gid: 8 },
  { name: "./.bashrc", content: "alias ll=ls\n" },
  { name: "./notes", content: "mine", uid: 1000, gid: 100, mode: 0o600 },
  { name: "./link", flag: "2", link: "/etc/passwd" },
];

Deno.test("a seed is the directory home of a work disk, with the owners of the archive", () =>
  withSeed(seed, async ({ make, look, store, digest, stagingDir }) => {
    const { file, virtualBytes } = await make();
    const path = `${stagingDir}/${file}`;
    await run("e2fsck", ["-fn", path], { timeoutMs: 60_000 });
    assert.equal((await Deno.stat(path)).size, virtualBytes);
    assert.ok((await Deno.stat(path)).blocks! * 512 < 1024 ** 2);
    assert.match(await look("stat /"), /Type: directory +Mode: +0700/);
    assert.match(await look("stat /home"), /Mode: +0711[^]*User: +7 +Group: +8 /);
    assert.match(await look("stat /home/notes"), /Mode: +0600[^]*User: +1000 +Group: +100 /);
    assert.equal(await look("cat /home/.bashrc"), "alias ll=ls\n");
    assert.match(await look("stat /home/link"), /Type: symlink[^]*"\/etc\/passwd"/);
    // Its size is not noted: the guest looks whether it is to grow.
    assert.doesNotMatch(await look("ls /"), /sectors/);
    assert.equal(await store.size(digest), undefined, "the archive takes no space");
    await assert.rejects(Deno.lstat(`${stagingDir}/work-seed.tar`), Deno.errors.NotFound);
  }));

Deno.test("an archive that is a layer of some image as well stays one", () =>
  withSeed(seed, async ({ make, store, digest, tar }) => {
    await store.put(digest, tar);
    await make();
    assert.equal(await store.size(digest), tar.length);
  }));

for (
  const [entry, words] of [
    [{ name: "../../etc/shadow", content: "x" }, /entry ".*shadow" .*\.\./],
    [{ name: "hard", flag: "1", link: "/etc/passwd" }, /entry "hard" /],
    [{ name: "notes/below", content: "x" }, /entry "notes\/below" /],
  ] as const
) {
  Deno.test(`a seed with a hostile entry ${entry.name} is refused, and nothing is left`, () =>
    withSeed([...seed, entry], async ({ make, store, digest, stagingDir }) => {
      await assert.rejects(make(), words);
      assert.equal(await store.size(digest), undefined);
      await assert.rejects(Deno.lstat(`${stagingDir}/work-seed.ext4`), Deno.errors.NotFound);
    }));
}
