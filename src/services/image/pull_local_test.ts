import assert from "node:assert/strict";
import { flattenHere } from "../../../tests/support/flatten_here.ts";
import {
  imageServiceDeps,
  recordingReporter,
} from "../../../tests/support/image_service_fixture.ts";
import { layoutOf, writeLayout } from "../../../tests/support/layout_fixture.ts";
import { tarOf } from "../../../tests/support/tar_fixture.ts";
import { isBangerError } from "../../model/errors.ts";
import { type LocalImageSource, parseImageSource } from "../../model/image_source.ts";
import { archiveFile, layoutDirectory } from "../../oci/host/host_files.ts";
import { serveBytes } from "../../oci/host/serve_bytes.ts";
import { memoryLinks } from "../../wire/memory_link.ts";
import { ImageService } from "./image_service.ts";
import { registryImages } from "./registry_images.ts";

const never = new AbortController().signal;
const layer = (text: string) =>
  tarOf([{ name: "etc/", type: "5" }, { name: "etc/x", content: text }]);

/** A service, and pulls as the CLI makes them: it offers the bytes, then asks for the image. */
async function withService(
  body: (
    pull: (text: string, options?: { name?: string; refresh?: boolean }) => Promise<string>,
    service: ImageService,
    dir: string,
    events: string[],
  ) => Promise<void>,
): Promise<void> {
  await using base = await imageServiceDeps();
  const { uid, arch, now } = base;
  const blobsDir = `${base.root}/blobs`;
  const flatten = flattenHere({ stagingDir: base.paths.stagingDir, blobsDir });
  const deps = { ...base, registry: registryImages({ blobsDir, flatten, uid, arch, now }) };
  const service = new ImageService(deps);
  const reporter = recordingReporter();
  const pull = async (text: string, { name, refresh = false }: {
    name?: string;
    refresh?: boolean;
  } = {}) => {
    const source = parseImageSource(text) as LocalImageSource;
    const { path } = source;
    const files = source.kind === "oci-layout" ? layoutDirectory(path) : archiveFile(path);
    const [ours, theirs] = memoryLinks();
    const { id, serve } = service.offer();
    const over = Promise.all([serve(ours), serveBytes(theirs, files)]);
    try {
      const options = { name: name ?? null, refresh };
      return (await service.pullLocalImage(source, id, options, reporter, never)).name;
    } finally {
      theirs.close();
      await over;
    }
  };
  await body(pull, service, base.root, reporter.events);
  const blobs = await Array.fromAsync(Deno.readDir(`${blobsDir}/sha256`)).catch(() => []);
  assert.deepEqual(blobs, [], "no copy of a layer stays");
}

Deno.test("a layout becomes an image under a name of its own, and is written once", async () => {
  await withService(async (pull, service, root, events) => {
    const dir = `${root}/small`;
    await writeLayout(dir, layoutOf({ "1": [layer("one")] }));
    assert.equal(await pull(`oci:${dir}:1`), "small-1");
    const written = ["layers", "rootfs"].flatMap((
      id,
    ) => [`started image.${id}`, `finished image.${id}`]);
    assert.deepEqual(events, written);
    const image = await service.showImage("small-1");
    assert.equal(image.source, `oci:${dir}:1`);
    assert.equal(image.managed, true);
    assert.deepEqual(image.run?.cmd, ["sh"]);
    assert.ok((await Deno.stat(image.rootfsPath)).isFile);
    // Here already, under another name, and again from the files: nothing is written.
    assert.equal(await pull(`oci:${dir}:1`), "small-1");
    assert.equal(await pull(`oci:${dir}:1`, { name: "other" }), "other");
    assert.equal(await pull(`oci:${dir}:1`, { refresh: true }), "small-1");
    assert.deepEqual(events, written);
    assert.equal((await service.showImage("other")).rootfsPath, image.rootfsPath);
    // Without its files it is still here, until it is asked for again.
    await Deno.remove(dir, { recursive: true });
    assert.equal(await pull(`oci:${dir}:1`), "small-1");
    await assert.rejects(
      pull(`oci:${dir}:1`, { refresh: true }),
      (error) => isBangerError(error, "not_found"),
    );
  });
});

Deno.test("changed files replace the image at a refresh; a name of another source is refused", async () => {
  await withService(async (pull, service, root, events) => {
    const dir = `${root}/app`;
    await writeLayout(dir, layoutOf({ "1": [layer("one")] }));
    await pull(`oci:${dir}`);
    const before = (await service.showImage("app")).digest;
    await writeLayout(dir, layoutOf({ "1": [layer("two")] }));
    await pull(`oci:${dir}`);
    assert.equal((await service.showImage("app")).digest, before);
    await pull(`oci:${dir}`, { refresh: true });
    assert.notEqual((await service.showImage("app")).digest, before);
    await writeLayout(`${root}/more/app`, layoutOf({ "1": [layer("three")] }));
    events.length = 0;
    await assert.rejects(pull(`oci:${root}/more/app`), (error) => {
      assert.ok(isBangerError(error, "conflict"));
      assert.match(error.message, /as "app": that image came from oci:.*\/app$/);
      return true;
    });
    assert.deepEqual(events, [], "nothing is unpacked for nothing");
  });
});

Deno.test("a layer that is not what it should be leaves no image, and no files", async () => {
  await withService(async (pull, service, root) => {
    const dir = `${root}/bad`;
    const files = layoutOf({ "1": [layer("one"), layer("two")] });
    const [name, bytes] = [...files].find(([, content]) => content.length >= 2048) ?? [];
    assert.ok(name !== undefined && bytes !== undefined);
    const damaged = bytes.slice();
    damaged[600]! ^= 1;
    files.set(name, damaged);
    await writeLayout(dir, files);
    await assert.rejects(pull(`oci:${dir}`), (error) => {
      assert.ok(isBangerError(error, "untrusted"), String(error));
      assert.doesNotMatch(error.hint ?? "", /registry/);
      return true;
    });
    assert.deepEqual(await service.listImages(), []);
    const state = `${root}/.local/state/banger`;
    for (const place of ["staging", "images"]) {
      assert.deepEqual(await Array.fromAsync(Deno.readDir(`${state}/${place}`)), []);
    }
  });
});

Deno.test("an offer is good for one pull of whoever made it", async () => {
  await withService(async (_pull, service, root) => {
    const source = parseImageSource("oci:/nowhere") as LocalImageSource;
    const take = (id: string) =>
      service.pullLocalImage(
        source,
        id,
        { name: null, refresh: false },
        recordingReporter(),
        never,
      );
    const gone = (error: unknown) => isBangerError(error, "not_found");
    await assert.rejects(take("0".repeat(32)), gone);
    const dropped = service.offer();
    dropped.drop();
    await assert.rejects(take(dropped.id), gone);
    const late = service.offer();
    const waiting = assert.rejects(take(late.id), gone);
    late.drop();
    await waiting;
    const [ours, theirs] = memoryLinks();
    const used = service.offer();
    const over = Promise.all([used.serve(ours), serveBytes(theirs, layoutDirectory(root))]);
    await assert.rejects(take(used.id), /it has no oci-layout/);
    await assert.rejects(take(used.id), /nobody offers its bytes/);
    theirs.close();
    await over;
    const all = Array.from({ length: 64 }, () => service.offer());
    assert.throws(() => service.offer(), (error) => isBangerError(error, "exhausted"));
    for (const { drop } of all) drop();
    service.offer().drop();
  });
});

Deno.test("of two images that want one name at once, the first to be whole has it", async () => {
  await withService(async (pull, service, root) => {
    const pulls = await Promise.allSettled(["a", "b"].map(async (text) => {
      const dir = `${root}/${text}`;
      await writeLayout(dir, layoutOf({ "1": [layer(text)] }));
      return await pull(`oci:${dir}:1`, { name: "wanted" });
    }));
    const lost = pulls.filter((each) => each.status === "rejected").map(({ reason }) => reason);
    assert.equal(lost.length, 1);
    assert.ok(isBangerError(lost[0], "conflict"), String(lost[0]));
    assert.match(lost[0].message, /^Cannot pull oci:.* as "wanted": that image came from oci:/);
    const images = await service.listImages();
    assert.deepEqual(images.map(({ name }) => name), ["wanted"]);
    const dirs = await Array.fromAsync(Deno.readDir(`${root}/.local/state/banger/images`));
    assert.equal(dirs.length, 1, "the loser's file system is not kept");
  });
});

Deno.test("a pull that failed before anything was there does not spoil the next one", async () => {
  await withService(async (pull, _service, root) => {
    await writeLayout(`${root}/a`, layoutOf({ "1": [layer("a")] }));
    await Deno.writeTextFile(`${root}/blobs`, "in the way");
    await assert.rejects(pull(`oci:${root}/a:1`));
    await Deno.remove(`${root}/blobs`);
    assert.equal(await pull(`oci:${root}/a:1`), "a-1");
  });
});
