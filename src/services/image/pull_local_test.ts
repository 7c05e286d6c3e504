import assert from "node:assert/strict";
import { flattenHere } from "../../../tests/support/flatten_here.ts";
import {
  imageServiceDeps,
  recordingReporter,
} from "../../../tests/support/image_service_fixture.ts";
import { layoutOf, writeLayout } from "../../../tests/support/layout_fixture.ts";
import { tarOf } from "../../../tests/support/tar_fixture.ts";
import type { RunFlattener } from "../../layers/apart/flatten_apart.ts";
import { isBangerError } from "../../model/errors.ts";
import { type LocalImageSource, parseImageSource } from "../../model/image_source.ts";
import type { StageReporter } from "../../model/stages.ts";
import { archiveFile, layoutDirectory } from "../../oci/host/host_files.ts";
import { serveBytes } from "../../oci/host/serve_bytes.ts";
import type { LocalBytes } from "../../oci/local_bytes.ts";
import { memoryLinks } from "../../wire/memory_link.ts";
import { ImageService } from "./image_service.ts";
import { registryImages } from "./registry_images.ts";

const never = new AbortController().signal;
const layer = (text: string) =>
  tarOf([{ name: "etc/", type: "5" }, { name: "etc/x", content: text }]);

interface PullOptions {
  readonly name?: string;
  readonly refresh?: boolean;
  readonly reporter?: StageReporter;
  /** Ends the client, too. */
  readonly signal?: AbortSignal;
  /** What stands between the client and its files. */
  readonly through?: (files: LocalBytes) => LocalBytes;
}

/** A service, and pulls as the CLI makes them: it offers the bytes, then asks for the image. */
async function withService(
  body: (
    pull: (text: string, options?: PullOptions) => Promise<string>,
    service: ImageService,
    dir: string,
    events: string[],
    flattened: readonly string[],
  ) => Promise<void>,
): Promise<void> {
  await using base = await imageServiceDeps();
  const { uid, arch, now } = base;
  const blobsDir = `${base.root}/blobs`;
  const unpack = flattenHere({ stagingDir: base.paths.stagingDir, blobsDir });
  const flattened: string[] = [];
  const flatten: RunFlattener = (job, ...rest) => {
    flattened.push(job.staging);
    return unpack(job, ...rest);
  };
  const deps = { ...base, registry: registryImages({ blobsDir, flatten, uid, arch, now }) };
  const service = new ImageService(deps);
  const shown = recordingReporter();
  const pull = async (
    text: string,
    { name, refresh = false, reporter = shown, signal = never, through = (all) => all }:
      PullOptions = {},
  ) => {
    const source = parseImageSource(text) as LocalImageSource;
    const { path } = source;
    const files = source.kind === "oci-layout" ? layoutDirectory(path) : archiveFile(path);
    const [ours, theirs] = memoryLinks();
    const { id, serve } = service.offer();
    const over = Promise.all([serve(ours), serveBytes(theirs, through(files))]);
    signal.addEventListener("abort", () => theirs.close());
    try {
      const options = { name: name ?? null, refresh };
      return (await service.pullLocalImage(source, id, options, reporter, signal)).name;
    } finally {
      theirs.close();
      await over;
    }
  };
  await body(pull, service, base.root, shown.events, flattened);
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

/** Files whose layers cannot be read before `open`; tells how often one was asked for. */
function gate() {
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  const state = { open, asked: 0 };
  const through = (files: LocalBytes): LocalBytes => ({
    size: (name, signal) => files.size(name, signal),
    async *read(name, range, signal) {
      if (range.length >= layer("").length) {
        state.asked++;
        await opened;
      }
      yield* files.read(name, range, signal);
    },
  });
  return { state, through };
}

/** A reporter, and when it has seen the layers begin to come. */
function watching() {
  const begun = Promise.withResolvers<void>();
  const reporter = recordingReporter();
  const stage: StageReporter["stage"] = (stage, body) => {
    if (stage.id === "image.layers") begun.resolve();
    return reporter.stage(stage, body);
  };
  return { begun: begun.promise, reporter: { ...reporter, stage } };
}

/** Two pulls of one layout, of which the second has joined the first, that reads no layer yet. */
async function twoAtOnce(
  pull: (text: string, options?: PullOptions) => Promise<string>,
  source: string,
) {
  const [first, second] = [gate(), gate()];
  const [shownFirst, shownSecond] = [watching(), watching()];
  const stop = new AbortController();
  const { signal } = stop;
  const pulls = [
    pull(source, { through: first.through, reporter: shownFirst.reporter, signal }),
    shownFirst.begun.then(() =>
      pull(source, { through: second.through, reporter: shownSecond.reporter })
    ),
  ] as const;
  for (const each of pulls) each.catch(() => {});
  await shownSecond.begun;
  return { first: first.state, second: second.state, stop, pulls, shownSecond };
}

Deno.test("pulls of one layout at once share one, and each sees it", async () => {
  await withService(async (pull, service, root, _events, flattened) => {
    await writeLayout(`${root}/a`, layoutOf({ "1": [layer("a")] }));
    const { first, second, pulls, shownSecond } = await twoAtOnce(pull, `oci:${root}/a:1`);
    second.open();
    first.open();
    assert.deepEqual(await Promise.all(pulls), ["a-1", "a-1"]);
    assert.equal(second.asked, 0, "its layers were read twice");
    assert.equal(flattened.length, 1, "it was unpacked twice");
    assert.deepEqual(shownSecond.reporter.events.toSorted(), [
      ...["finished image.layers", "finished image.rootfs"],
      ...["started image.layers", "started image.rootfs"],
    ]);
    assert.equal((await service.listImages()).length, 1);
  });
});

Deno.test("of two pulls of one layout the second goes on when the one that reads ends", async () => {
  await withService(async (pull, service, root) => {
    await writeLayout(`${root}/a`, layoutOf({ "1": [layer("a"), layer("b")] }));
    const { second, stop, pulls, shownSecond } = await twoAtOnce(pull, `oci:${root}/a:1`);
    second.open();
    stop.abort(new Error("left"));
    await assert.rejects(pulls[0], /left/);
    assert.equal(await pulls[1], "a-1");
    assert.equal(second.asked, 2);
    assert.match(shownSecond.reporter.events.join(), /has ended: it is read again/);
    assert.equal((await service.listImages()).length, 1);
    const state = `${root}/.local/state/banger`;
    assert.deepEqual(await Array.fromAsync(Deno.readDir(`${state}/staging`)), []);
  });
});

Deno.test("what one of two pulls at once finds wrong is told to both, once", async () => {
  await withService(async (pull, service, root) => {
    const files = layoutOf({ "1": [layer("a")] });
    const [name, bytes] = [...files].find(([, content]) => content.length >= 2048) ?? [];
    bytes![600]! ^= 1;
    files.set(name!, bytes!);
    await writeLayout(`${root}/a`, files);
    const { first, second, pulls } = await twoAtOnce(pull, `oci:${root}/a:1`);
    second.open();
    first.open();
    for (const each of pulls) {
      await assert.rejects(each, (error) => isBangerError(error, "untrusted"));
    }
    assert.equal(second.asked, 0);
    assert.deepEqual(await service.listImages(), []);
  });
});
