import assert from "node:assert/strict";
import {
  catalogEntryFixture,
  imageServiceDeps,
  recordingReporter,
} from "../../../tests/support/image_service_fixture.ts";
import type { CatalogEntry } from "../../catalog/catalog.ts";
import type { ImageRecord } from "../../model/artefacts.ts";
import { BangerError, type ErrorKind, isBangerError } from "../../model/errors.ts";
import type { BundleContext, ImageServiceDeps, StagedBundle } from "./contract.ts";
import { ImageService } from "./image_service.ts";

const never = new AbortController().signal;
const hex = (digit: string) => digit.repeat(64);

/** What the catalog has; tests change it. */
interface Shelf {
  entries: CatalogEntry[];
  /** Of the bundle that is pulled. */
  madeAtMs: number;
  kernelDigest: string;
  workSeed: StagedBundle["workSeed"];
  /** Called with files in the staging directories. */
  during: (context: BundleContext) => Promise<void>;
  /** Of the kit in an image's bundle. */
  kitKey: string | null;
  pulls: number;
  refits: number;
  revision: string;
}

function shelf(...entries: CatalogEntry[]): Shelf {
  const during = () => Promise.resolve();
  return {
    ...{ entries, madeAtMs: 1000, kernelDigest: hex("1"), during },
    ...{ kitKey: null, pulls: 0, refits: 0, revision: "1", workSeed: null },
  };
}

/** A service whose catalog is `shelf`: an image `tiny` with kernel `tiny-kernel`, or a kernel. */
function serviceOf(deps: ImageServiceDeps, at: Shelf): ImageService {
  const kernelFiles = {
    vmlinux: "vmlinux",
    initrd: "initrd.img",
    modules: null,
    probeInitrd: null,
  };
  return new ImageService({
    ...deps,
    kernelSource: { ...deps.kernelSource, revision: () => Promise.resolve(at.revision) },
    catalog: {
      source: "catalog:http://127.0.0.1:1/catalog.json",
      load: () =>
        Promise.resolve({ source: "http://127.0.0.1:1/catalog.json", entries: at.entries }),
      forget: () => {},
      pull: async (entry, context): Promise<StagedBundle> => {
        at.pulls++;
        if (context.notBeforeMs !== null && at.madeAtMs < context.notBeforeMs) {
          throw new BangerError("untrusted", "too old", { code: "BUNDLE_DOWNGRADE" });
        }
        const isImage = entry.kind === "image";
        if (isImage) await Deno.writeTextFile(`${context.stagingDir}/rootfs.ext4`, entry.sha256);
        const kit = isImage && at.kitKey !== null ? { file: "kit.ext4", key: at.kitKey } : null;
        if (kit !== null) await Deno.writeTextFile(`${context.stagingDir}/kit.ext4`, "its kit");
        for (const file of ["vmlinux", "initrd.img"]) {
          await Deno.writeTextFile(`${context.kernelStagingDir}/${file}`, at.kernelDigest);
        }
        await Deno.writeTextFile(`${context.kernelStagingDir}/revision`, at.revision);
        await at.during(context);
        const { madeAtMs } = at;
        return {
          publication: { bundle: `sha256:${entry.sha256}`, signer: entry.signer, madeAtMs },
          kernel: {
            ...{ name: isImage ? `${entry.name}-kernel` : entry.name, version: "6.1.0" },
            ...{ format: "vmlinux", commandLine: ["a=1"], digest: `sha256:${at.kernelDigest}` },
            ...kernelFiles,
          },
          workSeed: at.workSeed,
          rootfs: isImage ? { file: "rootfs.ext4", virtualBytes: 64, diskBytes: 64 } : null,
          kit,
        };
      },
      refit: async (kernel, stagingDir) => {
        at.refits++;
        await Deno.link(kernel.vmlinuxPath, `${stagingDir}/vmlinux`);
        await Deno.writeTextFile(`${stagingDir}/initrd.img`, at.revision);
        await Deno.writeTextFile(`${stagingDir}/revision`, at.revision);
        return { version: kernel.version, digest: `sha256:${hex(at.revision)}`, ...kernelFiles };
      },
    },
  });
}

function entryOf(kind: "image" | "kernel", name: string, digit: string): CatalogEntry {
  return { ...catalogEntryFixture(kind, name), sha256: hex(digit) };
}

const pullOf = (service: ImageService, refresh = false, signal = never) =>
  service.pullImage("tiny", { refresh }, recordingReporter(), signal);

async function namesIn(dir: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(dir))).map((entry) => entry.name).sort();
}

async function refused(attempt: Promise<unknown>, kind: ErrorKind, words: RegExp): Promise<void> {
  await assert.rejects(attempt, (error) => {
    assert.ok(isBangerError(error, kind), String(error));
    assert.match(error.message, words);
    return true;
  });
}

Deno.test("an image's bundle gives an image and a kernel of its own", async () => {
  await using deps = await imageServiceDeps();
  const at = shelf(entryOf("image", "tiny", "a"));
  const service = serviceOf(deps, at);
  const image = await pullOf(service);
  assert.equal(image.digest, `sha256:${hex("a")}`);
  assert.equal(image.kernel, "tiny-kernel");
  assert.equal(image.publication?.madeAtMs, 1000);
  const [kernel] = deps.kernels.list();
  assert.equal(kernel?.name, "tiny-kernel");
  assert.deepEqual(kernel.commandLine, ["a=1"]);
  assert.deepEqual(kernel.publication, image.publication);
  assert.match(kernel.sourceReason ?? "", /^it came with image tiny: /);
  assert.equal(await Deno.readTextFile(kernel.vmlinuxPath), hex("1"));
  assert.deepEqual(await namesIn(deps.paths.stagingDir), []);

  const set = await service.ensure("tiny", null, recordingReporter(), never);
  assert.deepEqual([set.image, set.kernel], [image, kernel]);
  assert.equal(at.pulls, 1);
});

Deno.test("a bundle's seed becomes a work disk beside the root disk, and goes with the image", async () => {
  await using deps = await imageServiceDeps();
  const at = shelf(entryOf("image", "tiny", "a"));
  at.workSeed = { file: "work-seed.tar", digest: `sha256:${hex("d")}`, size: 512 };
  const refusals: BangerError[] = [];
  const registry: ImageServiceDeps["registry"] = {
    ...deps.registry,
    makeWorkSeed: async ({ size }, { stagingDir }) => {
      if (refusals[0] !== undefined) throw refusals[0];
      await Deno.writeTextFile(`${stagingDir}/work-seed.ext4`, "seed");
      return { file: "work-seed.ext4", virtualBytes: 2 * size };
    },
  };
  const service = serviceOf({ ...deps, registry }, at);
  const { digest, workSeed } = await pullOf(service);
  const path = `${deps.paths.artefactDir("image", digest)}/work-seed.ext4`;
  assert.deepEqual(workSeed, { digest: `sha256:${hex("d")}`, path, virtualBytes: 1024 });
  assert.equal(await Deno.readTextFile(path), "seed");
  assert.deepEqual(
    (await service.showImage("tiny")).workSeed,
    { digest: `sha256:${hex("d")}`, virtualBytes: 1024 },
  );

  at.entries = [entryOf("image", "tiny", "b")];
  refusals.push(new BangerError("untrusted", 'entry "../x" has ".." in its name'));
  await refused(
    pullOf(service, true),
    "untrusted",
    /Cannot use bundle "tiny": member "work-seed\.tar": no work disk can be made of it: entry/,
  );
  assert.equal((await service.showImage("tiny")).digest, digest, "the one before stays");
  assert.deepEqual(await namesIn(deps.paths.stagingDir), []);

  at.workSeed = null;
  assert.equal((await pullOf(service, true)).workSeed, null);
});

Deno.test("a boot set on a miss pulls the bundle, and no kernel beside the one in it", async () => {
  await using deps = await imageServiceDeps();
  const at = shelf(entryOf("image", "debian-bookworm", "a"));
  const service = serviceOf(deps, at);
  const set = await service.ensure("debian-bookworm", null, recordingReporter(), never);
  assert.equal(set.kernel.name, "debian-bookworm-kernel");
  assert.equal(deps.kernels.list().length, 1);
  assert.equal(at.pulls, 1);
});

Deno.test("a kernel that only comes with an image is brought with it again", async () => {
  await using deps = await imageServiceDeps();
  const at = shelf(entryOf("image", "tiny", "a"));
  const service = serviceOf(deps, at);
  const image = await pullOf(service);
  await service.deleteKernel("tiny-kernel", never);
  const set = await service.ensure("tiny", null, recordingReporter(), never);
  assert.deepEqual([set.image.digest, set.kernel.name], [image.digest, "tiny-kernel"]);
  assert.equal(at.pulls, 2);
});

Deno.test("a refresh fetches only what is another bundle, and never an older one", async () => {
  await using deps = await imageServiceDeps();
  const at = shelf(entryOf("image", "tiny", "a"));
  const service = serviceOf(deps, at);
  const first = await pullOf(service);
  assert.equal(await pullOf(service, true), first);
  assert.equal(at.pulls, 1);
  at.entries = [entryOf("image", "tiny", "b")];
  at.madeAtMs = 999;
  await refused(pullOf(service, true), "untrusted", /too old/);
  assert.deepEqual(deps.images.list(), [first]);
  at.madeAtMs = 1001;
  assert.equal((await pullOf(service, true)).digest, `sha256:${hex("b")}`);
  assert.deepEqual(await namesIn(deps.paths.stagingDir), []);
});

Deno.test("the kernel of an image replaces an older one of the catalog, and no other", async () => {
  await using deps = await imageServiceDeps();
  const at = shelf(entryOf("image", "tiny", "a"), entryOf("kernel", "tiny-kernel", "c"));
  const service = serviceOf(deps, at);
  at.madeAtMs = 2000;
  at.kernelDigest = hex("2");
  const pullKernel = () =>
    service.pullKernel("tiny-kernel", { refresh: true }, recordingReporter(), never);
  await pullKernel();
  at.madeAtMs = 1000;
  at.kernelDigest = hex("1");
  await pullOf(service);
  assert.equal(deps.kernels.find("tiny-kernel")?.digest, `sha256:${hex("2")}`);
  at.entries = [entryOf("image", "tiny", "b")];
  at.madeAtMs = 3000;
  await pullOf(service, true);
  assert.equal(deps.kernels.find("tiny-kernel")?.digest, `sha256:${hex("1")}`);

  const other = { ...deps.kernels.find("tiny-kernel")!, publication: null, source: "elsewhere" };
  deps.kernels.publish({ ...other, digest: "sha256:other" });
  at.entries = [entryOf("image", "tiny", "d")];
  at.madeAtMs = 4000;
  const reporter = recordingReporter();
  await service.pullImage("tiny", { refresh: true }, reporter, never);
  assert.equal(deps.kernels.find("tiny-kernel")?.digest, "sha256:other");
  assert.ok(reporter.events.includes("Kernel tiny-kernel stays the one from elsewhere"));
});

Deno.test("an image of another source keeps its name", async () => {
  await using deps = await imageServiceDeps();
  const at = shelf(entryOf("image", "tiny", "a"));
  const service = serviceOf(deps, at);
  const theirs = { name: "tiny", digest: "sha256:9", source: "registry:x/tiny:1" };
  deps.images.publish({ ...theirs, publication: null } as ImageRecord);
  await refused(pullOf(service, true), "conflict", /of that name came from registry:x\/tiny:1$/);
  assert.equal(at.pulls, 0);
});

Deno.test("a pull that is cancelled, or that fails at its end, publishes nothing", async () => {
  await using deps = await imageServiceDeps();
  const at = shelf(entryOf("image", "tiny", "a"));
  const service = serviceOf(deps, at);
  const stop = new AbortController();
  at.during = ({ signal }) => {
    stop.abort(new BangerError("cancelled", "Stopped"));
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  };
  await refused(pullOf(service, false, stop.signal), "cancelled", /./);
  at.during = () => Promise.reject(new BangerError("exhausted", "the disk is full"));
  await refused(pullOf(service), "exhausted", /the disk is full/);
  assert.deepEqual([deps.images.list(), deps.kernels.list()], [[], []]);
  for (const dir of [deps.paths.stagingDir, deps.paths.imagesDir, deps.paths.kernelsDir]) {
    assert.deepEqual(await namesIn(dir), []);
  }
});

Deno.test("what banger adds to a kernel is made anew without a pull", async () => {
  await using deps = await imageServiceDeps();
  const at = shelf(entryOf("kernel", "tiny", "a"));
  const service = serviceOf(deps, at);
  const ensure = () => service.pullKernel("tiny", { refresh: false }, recordingReporter(), never);
  const first = await ensure();
  assert.deepEqual(await ensure(), first);
  at.revision = "2";
  const second = await ensure();
  assert.deepEqual([at.pulls, at.refits], [1, 1]);
  assert.equal(await Deno.readTextFile(second.initrdPath!), "2");
  assert.equal(await Deno.readTextFile(second.vmlinuxPath), hex("1"));
  assert.deepEqual(second.publication, first.publication);
  assert.deepEqual(await ensure(), second);
  // A publisher's own initrd does not follow banger's.
  await Deno.remove(second.vmlinuxPath.replace(/vmlinux$/, "revision"));
  at.revision = "3";
  assert.deepEqual(await ensure(), second);
});

Deno.test("a bundle's kit is taken when it is made of the same as ours and none is here", async () => {
  await using deps = await imageServiceDeps();
  const at = shelf(entryOf("image", "tiny", "a"));
  const service = serviceOf(deps, at);
  const kit = async () =>
    await Deno.readTextFile(await service.ensureKit(recordingReporter(), never));
  at.kitKey = "another build's";
  await pullOf(service);
  assert.deepEqual(await namesIn(deps.paths.kitsDir), []);

  at.kitKey = await deps.kitSource.key();
  at.entries = [entryOf("image", "tiny", "b")];
  await pullOf(service, true);
  assert.equal(await kit(), "its kit");
  const path = await service.ensureKit(recordingReporter(), never);
  assert.equal((await Deno.stat(path)).mode! & 0o777, 0o444);
  assert.deepEqual(await namesIn(deps.paths.stagingDir), []);

  // One that is here stays.
  await using others = await imageServiceDeps();
  const built = serviceOf(others, at);
  await built.ensureKit(recordingReporter(), never);
  await pullOf(built);
  assert.equal(await Deno.readTextFile(await built.ensureKit(recordingReporter(), never)), "kit");
});

Deno.test("a kit that cannot be built comes with the bundle, or its failure is told", async () => {
  await using deps = await imageServiceDeps();
  const at = shelf(entryOf("image", "tiny", "a"));
  const unbuilt = new BangerError("unavailable", "Cannot reach the mirror");
  const service = serviceOf({
    ...deps,
    kitSource: { ...deps.kitSource, build: () => Promise.reject(unbuilt) },
  }, at);
  const ensure = () => service.ensure("tiny", null, recordingReporter(), never);
  await assert.rejects(ensure(), unbuilt);
  at.kitKey = await deps.kitSource.key();
  for (const { name } of deps.images.list()) await service.deleteImage(name, never);
  assert.equal(await Deno.readTextFile((await ensure()).kitPath), "its kit");
});
