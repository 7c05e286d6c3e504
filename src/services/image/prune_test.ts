import assert from "node:assert/strict";
import {
  imageServiceDeps,
  recordingReporter,
  vmConfigFixture,
} from "../../../tests/support/image_service_fixture.ts";
import type { ImageRecord } from "../../model/artefacts.ts";
import { BlobStore } from "../../oci/blob_store.ts";
import type { ImageServiceDeps, VmUses } from "./contract.ts";
import { ImageService } from "./image_service.ts";
import type { Pruned } from "./prune.ts";
import { registryImages } from "./registry_images.ts";

const never = new AbortController().signal;
const image = "debian-bookworm";
const kernel = "debian-6.1-cloud";

interface Fixture {
  readonly service: ImageService;
  readonly deps: ImageServiceDeps;
  readonly root: string;
  readonly blobs: BlobStore;
  /** The VMs that there are, by what they were made of. */
  readonly vms: { image: string; imageDigest: string; kernel: string; kernelDigest: string }[];
  readonly clock: { ms: number };
}

async function fixture(body: (fixture: Fixture) => Promise<void>): Promise<void> {
  await using base = await imageServiceDeps();
  const vms: Fixture["vms"] = [];
  const clock = { ms: Date.now() + 1000 };
  const uses: VmUses = {
    list: () =>
      vms.map((vm, at) => ({
        config: { ...vmConfigFixture, ...vm, name: `vm-${at}` },
        imageDigest: vm.imageDigest,
        kernelDigest: vm.kernelDigest,
      })),
  };
  const { uid, arch } = base;
  const blobsDir = `${base.root}/blobs`;
  const now = () => clock.ms;
  const registry = registryImages({
    ...{ blobsDir, uid, arch, now },
    flatten: () => Promise.reject(new Error("nothing is unpacked")),
  });
  const deps = { ...base, vms: uses, now, registry };
  const blobs = BlobStore.open(blobsDir, uid);
  await body({ service: new ImageService(deps), deps, root: base.root, blobs, vms, clock });
}

const brief = (pruned: readonly Pruned[]) =>
  pruned.map(({ kind, name, bytes }) => `${kind} ${name}${bytes === 0 ? " free" : ""}`);

async function namesIn(dir: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(dir), ({ name }) => name)).sort();
}

/** A row with a directory of its own. */
async function putImage(deps: ImageServiceDeps, more: Partial<ImageRecord>): Promise<ImageRecord> {
  const digest = more.digest ?? `sha256:${crypto.randomUUID().replaceAll("-", "").repeat(2)}`;
  const dir = deps.paths.artefactDir("image", digest);
  await Deno.mkdir(dir, { recursive: true });
  await Deno.writeFile(`${dir}/rootfs.ext4`, new Uint8Array(10_000));
  const record: ImageRecord = {
    name: "app",
    digest,
    source: "registry:x",
    sourceReason: null,
    publication: null,
    arch: "x86_64",
    kernel,
    virtualBytes: 1,
    diskBytes: 1,
    createdAtMs: 1,
    managed: true,
    rootfsPath: `${dir}/rootfs.ext4`,
    workSeed: null,
    run: null,
    blobs: [],
    ...more,
  };
  deps.images.publish(record);
  return record;
}

Deno.test("what nothing can use any more is removed, and a dry run only tells", async () => {
  await fixture(async ({ service, deps, root, blobs }) => {
    const pull = () => service.pullImage(image, { refresh: true }, recordingReporter(), never);
    const old = await pull();
    const current = await pull();
    await service.pullKernel(kernel, { refresh: false }, recordingReporter(), never);
    await service.ensureKit(recordingReporter(), never);
    await Deno.writeTextFile(`${deps.paths.kitsDir}/kit-0.ext4`, "old");
    await Deno.mkdir(`${deps.paths.imagesDir}/orphan`);
    await Deno.writeTextFile(`${deps.paths.imagesDir}/orphan/rootfs.ext4`, "x");
    const kept = `sha256:${"a".repeat(64)}` as const;
    const lost = `sha256:${"b".repeat(64)}` as const;
    for (const digest of [kept, lost]) await blobs.put(digest, new Uint8Array(5000));
    await Deno.writeFile(blobs.partPath(`sha256:${"c".repeat(64)}`), new Uint8Array(5000));
    await putImage(deps, { blobs: [kept] });
    const expected = [
      `image ${image}`,
      "leftover orphan",
      "kit kit-0.ext4",
      "blobs 2",
    ];
    const told = await service.prune({ all: false, dryRun: true }, never);
    assert.deepEqual(brief(told), expected);
    assert.ok((await Deno.stat(old.rootfsPath)).isFile, "a dry run removes nothing");
    const gone = await service.prune({ all: false, dryRun: false }, never);
    assert.deepEqual(gone, told);
    await assert.rejects(Deno.stat(old.rootfsPath), Deno.errors.NotFound);
    assert.ok((await Deno.stat(current.rootfsPath)).isFile);
    assert.deepEqual(await namesIn(deps.paths.kitsDir), ["current.json", "kit-1.ext4"]);
    assert.deepEqual(await namesIn(`${root}/blobs/sha256`), ["a".repeat(64)]);
    assert.deepEqual(await service.prune({ all: false, dryRun: false }, never), []);
  });
});

Deno.test("with all goes what no VM uses, but kernels of images that stay", async () => {
  await fixture(async ({ service, deps, vms }) => {
    await service.pullKernel(kernel, { refresh: false }, recordingReporter(), never);
    const used = await putImage(deps, { name: "used" });
    vms.push({ image: "used", imageDigest: used.digest, kernel: "k", kernelDigest: "sha256:0" });
    const both = await putImage(deps, { name: "one" });
    await putImage(deps, { ...both, name: "two" });
    await putImage(deps, { name: "also", digest: used.digest });
    const all = { all: true, dryRun: false };
    // One directory with two names is freed once; one that a VM uses is not freed by its other name.
    assert.deepEqual(brief(await service.prune({ ...all, dryRun: true }, never)), [
      "image one free",
      "image two",
    ]);
    assert.deepEqual(brief(await service.prune(all, never)), ["image one free", "image two"]);
    assert.deepEqual(deps.images.list().map(({ name }) => name).sort(), ["also", "used"]);
    assert.equal(deps.kernels.list().length, 1, "an image that stays boots it");
    vms.length = 0;
    const rest = await service.prune(all, never);
    assert.deepEqual(brief(rest).sort(), ["image also", "image used free", `kernel ${kernel}`]);
    for (const dir of [deps.paths.imagesDir, deps.paths.kernelsDir]) {
      assert.deepEqual(await namesIn(dir), []);
    }
  });
});

Deno.test("versions that VMs were made of stay, and so does what a start is being given", async () => {
  await fixture(async ({ service, deps, vms, clock }) => {
    const old = await putImage(deps, {});
    await putImage(deps, {});
    vms.push({ image: "app", imageDigest: old.digest, kernel, kernelDigest: "sha256:0" });
    const all = { all: true, dryRun: false };
    assert.deepEqual(await service.prune(all, never), []);
    vms.length = 0;
    const pulling = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const slow = new ImageService({
      ...deps,
      kitSource: {
        ...deps.kitSource,
        build: async (context) => {
          begun.resolve();
          await pulling.promise;
          return await deps.kitSource.build(context);
        },
      },
    });
    const start = slow.ensure("app", null, recordingReporter(), never);
    await begun.promise;
    assert.deepEqual(await slow.prune(all, never), [], "its kit is still being built");
    pulling.resolve();
    await start;
    assert.deepEqual(await slow.prune(all, never), [], "its VM has no row yet");
    clock.ms += 2_001;
    assert.deepEqual(brief(await slow.prune(all, never)), [
      "image app",
      "image app",
      `kernel ${kernel}`,
    ]);
  });
});

Deno.test("files stay that one name of an image loses and another one keeps", async () => {
  await fixture(async ({ service, deps, vms }) => {
    const { digest } = await putImage(deps, {});
    const current = await putImage(deps, {});
    await putImage(deps, { ...current, name: "alias" });
    // Its VM was made of the version before; the current one is kept for the name's sake.
    vms.push({ image: "app", imageDigest: digest, kernel: "k", kernelDigest: "sha256:0" });
    const gone = await service.prune({ all: true, dryRun: false }, never);
    assert.deepEqual(brief(gone), ["image alias free"]);
    assert.ok((await Deno.stat(current.rootfsPath)).isFile);
  });
});

Deno.test("the list tells what images take, and what of it they share", async () => {
  await fixture(async ({ service, deps, blobs }) => {
    const digests = ["a", "b", "c"].map((letter) => `sha256:${letter.repeat(64)}` as const);
    const [a, b, c] = digests as [typeof digests[0], typeof digests[0], typeof digests[0]];
    for (const [at, digest] of digests.entries()) {
      await blobs.put(digest, new Uint8Array(1000 * (at + 1)));
    }
    const one = await putImage(deps, { name: "one", blobs: [a, b] });
    await putImage(deps, { name: "two", blobs: [b, c] });
    await putImage(deps, { ...one, name: "three", blobs: [a, b] });
    const [first, second, third] = await service.listImages();
    const rootfs = (await Deno.stat(one.rootfsPath)).blocks! * 512;
    assert.deepEqual([first?.diskBytes, first?.blobBytes], [rootfs, 3000]);
    assert.deepEqual([second?.diskBytes, second?.blobBytes], [rootfs, 5000]);
    assert.equal(first?.sharedBytes, rootfs + 3000, "all of it has another name, too");
    assert.equal(third?.sharedBytes, rootfs + 3000);
    assert.equal(second?.sharedBytes, 2000, "one layer is also the others'");
    await service.deleteImage("three", never);
    assert.equal((await service.showImage("one")).sharedBytes, 2000);
  });
});
