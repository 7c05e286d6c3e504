import assert from "node:assert/strict";
import type { ByteString } from "../../src/ext4/byte_string.ts";
import { flattenLayers } from "../../src/layers/flatten_layers.ts";
import { isBangerError } from "../../src/model/errors.ts";
import { run } from "../../src/process/run.ts";
import { dumpTree, readableName } from "../support/dump_tree.ts";
import { type FlattenImage, flattenImages } from "../support/flatten_images.ts";
import { tarOf } from "../support/layer_fixture.ts";
import { skipUnless } from "../support/require.ts";
import { type StoredLayer, writeOciLayout } from "../support/oci_layout.ts";

const isInstalled = async (program: string) =>
  (await run("sh", ["-c", `command -v ${program}`], { okCodes: [0, 1, 127] })).code === 0;
const programs = ["umoci", "e2fsck", "perl", "mount", "dpkg-deb"];
const missing: string[] = [];
for (const program of programs) if (!await isInstalled(program)) missing.push(program);
const canMount = Deno.uid() === 0 &&
  (await run("sh", ["-c", "losetup -f"], { okCodes: [0, 1, 2, 127] })).code === 0;

/** Reads a file in chunks of an odd size, as a network would bring it. */
async function* readChunks(path: string): AsyncGenerator<Uint8Array> {
  using file = await Deno.open(path);
  while (true) {
    const chunk = new Uint8Array(777_777);
    const count = await file.read(chunk);
    if (count === null) return;
    yield chunk.subarray(0, count);
  }
}

/** umoci takes long on a disk; but user attributes are refused in memory before kernel 6.6. */
const hasMemory = await Deno.stat("/dev/shm").then(({ isDirectory }) => isDirectory, () => false);
const scratch = (onDisk: boolean) => hasMemory && !onDisk ? { dir: "/dev/shm" } : {};

async function flatten(layers: readonly StoredLayer[], out: string) {
  return await flattenLayers({
    layers: layers.map(({ path, digest, diffId }) => ({
      label: digest.slice(7, 19),
      open: () => readChunks(path),
      digest,
      diffId,
    })),
    out,
    sizeBytes: 4 * 1024 ** 3,
    uuid: crypto.getRandomValues(new Uint8Array(16)),
    made: { seconds: 1_500_000_000, nanoseconds: 0 },
  });
}

/** Mounts the image read-only as long as `read` runs. */
async function mounted<T>(image: string, at: string, read: () => Promise<T>): Promise<T> {
  await Deno.mkdir(at);
  await run("mount", ["-o", "loop,ro", image, at], { timeoutMs: 30_000 });
  try {
    return await read();
  } finally {
    await run("umount", [at], { timeoutMs: 30_000 });
  }
}

/** Flattens the layers and unpacks them with umoci, and compares everything that can be seen. */
async function compareWithUmoci(image: FlattenImage): Promise<void> {
  const work = scratch(image.isOnDisk ?? false);
  const dir = await Deno.makeTempDir({ prefix: "banger-flatten-", ...work });
  const startedSeconds = Date.now() / 1000;
  try {
    const tars = await image.layers();
    const layers = await writeOciLayout(`${dir}/oci`, tars, image.form);
    const out = `${dir}/image.ext4`;
    const { inodes } = await flatten(layers, out);
    await run("e2fsck", ["-fn", out], { timeoutMs: 60_000 });
    const ours = await mounted(out, `${dir}/mnt`, () => dumpTree(`${dir}/mnt`));
    // umoci 0.4.7 reads nothing but gzip; the tree does not depend on the form.
    await writeOciLayout(`${dir}/umoci`, await image.forUmoci?.() ?? tars, "gzip");
    await run("umoci", ["raw", "unpack", "--image", `${dir}/umoci:test`, `${dir}/rootfs`], {
      timeoutMs: 180_000,
    });
    const theirs = await dumpTree(`${dir}/rootfs`);
    const lostAndFound = hex("./lost+found");
    if (!theirs.has(lostAndFound)) ours.delete(lostAndFound);
    assert.deepEqual(
      [...ours.keys()].sort().map(readableName),
      [...theirs.keys()].sort().map(readableName),
    );
    for (const [path, { mtime: theirTime, ...their }] of theirs) {
      const { mtime, ...our } = ours.get(path)!;
      assert.deepEqual(our, their, readableName(path));
      // What no layer has an entry for is as old as the unpacking, or the root as 1970.
      if (theirTime !== 0 && theirTime < startedSeconds - 60) {
        assert.ok(
          Math.abs(mtime - theirTime) < 2e-6,
          `${readableName(path)}: ${mtime} ${theirTime}`,
        );
      }
    }
    assert.ok(inodes <= ours.size + 1);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function hex(name: ByteString): string {
  return Array.from(name, (c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}

for (const image of flattenImages) {
  const name = `flattened, it is what umoci unpacks: ${image.name}`;
  const reason = missing.length > 0
    ? `${missing.join(", ")} not installed`
    : "mounting an image needs root and loop devices";
  Deno.test({
    name,
    ignore: skipUnless(name, missing.length === 0 && canMount, reason),
    fn: () => compareWithUmoci(image),
  });
}

const fullDisk = "a disk that is full is told, and nothing is left on it";
Deno.test({
  name: fullDisk,
  ignore: skipUnless(fullDisk, Deno.uid() === 0, "mounting a small disk needs root"),
  async fn() {
    const dir = await Deno.makeTempDir({ prefix: "banger-flatten-" });
    await run("mount", ["-t", "tmpfs", "-o", "size=6m", "tmpfs", dir]);
    try {
      const noise = crypto.getRandomValues(new Uint8Array(60_000));
      const files = Array.from(
        { length: 200 },
        (_, index) => ({ name: `${index}`, content: noise }),
      );
      const flattening = flattenLayers({
        layers: [{ label: "layer", open: () => ReadableStream.from([tarOf(files)]) }],
        out: `${dir}/image`,
        sizeBytes: 1024 ** 3,
        uuid: new Uint8Array(16),
        made: { seconds: 0, nanoseconds: 0 },
      });
      await assert.rejects(flattening, (error) => {
        assert.ok(isBangerError(error, "exhausted"), `${error}`);
        assert.match(error.message, /^Cannot write image ".*\/image": the disk is full$/);
        return true;
      });
      assert.deepEqual(await Array.fromAsync(Deno.readDir(dir)), []);
    } finally {
      await run("umount", [dir]);
      await Deno.remove(dir);
    }
  },
});
