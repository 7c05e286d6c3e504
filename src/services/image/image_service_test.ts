import assert from "node:assert/strict";
import {
  imageServiceDeps,
  recordingReporter,
  vmConfigFixture,
} from "../../../tests/support/image_service_fixture.ts";
import { BangerError, isBangerError } from "../../model/errors.ts";
import type { VmUses } from "./contract.ts";
import { ImageService } from "./image_service.ts";
import { tidy } from "./tidy.ts";

const never = new AbortController().signal;
const image = "debian-bookworm";
const kernel = "debian-6.1-cloud";

async function namesIn(dir: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(dir))).map((entry) => entry.name).sort();
}

Deno.test("a pull publishes an immutable image, and a second one finds it", async () => {
  await using deps = await imageServiceDeps();
  const service = new ImageService(deps);
  const first = await service.pullImage(image, { refresh: false }, recordingReporter(), never);
  assert.deepEqual(deps.images.list(), [first]);
  assert.equal((await Deno.stat(first.rootfsPath)).mode! & 0o777, 0o444);
  assert.deepEqual(await namesIn(deps.paths.stagingDir), []);
  const again = await service.pullImage(image, { refresh: false }, recordingReporter(), never);
  assert.equal(again, first);
  const { blobs: _, ...shown } = first;
  const { diskBytes: _disk, ...rest } = shown;
  const { diskBytes, ...view } = await service.showImage(image);
  assert.ok(diskBytes > 0 && diskBytes < 64 * 1024, "what it takes now");
  assert.deepEqual(view, { ...rest, blobBytes: 0, sharedBytes: 0, usedBy: [] });
});

Deno.test("two pulls at once share one build, and both see its stages", async () => {
  let builds = 0;
  const gate = Promise.withResolvers<void>();
  await using base = await imageServiceDeps();
  const service = new ImageService({
    ...base,
    buildImage: (options) =>
      options.reporter.stage({ id: "image.bootstrap", title: "" }, async () => {
        builds++;
        await gate.promise;
        return await base.buildImage(options);
      }),
  });
  const reporters = [recordingReporter(), recordingReporter()];
  const pull = (index: number) =>
    service.pullImage(image, { refresh: false }, reporters[index]!, never);
  const first = pull(0);
  while (builds === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const second = pull(1);
  setTimeout(gate.resolve, 5);
  assert.equal(await first, await second);
  assert.equal(builds, 1);
  for (const { events } of reporters) {
    assert.deepEqual(events, [
      `${image}: building from Debian packages, the built-in catalog has no bundle of it for x86_64`,
      "started image.bootstrap",
      "finished image.bootstrap",
    ]);
  }
});

Deno.test("one who leaves a shared pull does not stop it; the last one does, and nothing is left", async () => {
  await using base = await imageServiceDeps();
  const begun = Promise.withResolvers<AbortSignal>();
  const service = new ImageService({
    ...base,
    buildImage: async ({ stagingDir, signal }) => {
      await Deno.writeTextFile(`${stagingDir}/half`, "");
      begun.resolve(signal);
      return await new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
    },
  });
  const leave = [new AbortController(), new AbortController()];
  const reason = new BangerError("cancelled", "Stopped");
  const pulls = leave.map(({ signal }) =>
    assert.rejects(
      service.pullImage(image, { refresh: false }, recordingReporter(), signal),
      (error) => isBangerError(error, "cancelled"),
    )
  );
  const build = await begun.promise;
  leave[0]!.abort(reason);
  await pulls[0];
  assert.equal(build.aborted, false);
  leave[1]!.abort(reason);
  await pulls[1];
  assert.equal(build.aborted, true);
  assert.deepEqual(await namesIn(base.paths.stagingDir), []);
  assert.deepEqual(await namesIn(base.paths.imagesDir), []);
  assert.deepEqual(base.images.list(), []);
});

Deno.test("a refresh replaces the image; the one before stays while a VM uses it", async () => {
  await using base = await imageServiceDeps();
  const vms: { -readonly [K in keyof VmUses]: VmUses[K] } = { list: () => [] };
  const service = new ImageService({ ...base, vms });
  const pull = () => service.pullImage(image, { refresh: true }, recordingReporter(), never);
  const first = await pull();
  const config = { ...vmConfigFixture, image, kernel };
  vms.list = () => [{ config, imageDigest: first.digest, kernelDigest: "sha256:0" }];
  const second = await pull();
  assert.notEqual(second.digest, first.digest);
  await tidy({ ...base, vms });
  assert.ok((await Deno.stat(first.rootfsPath)).isFile);
  assert.deepEqual((await service.listImages())[0]?.usedBy, ["web"]);
  await assert.rejects(service.deleteImage(image, never), (error) => {
    assert.ok(isBangerError(error, "conflict"));
    assert.match(error.message, /^Cannot delete image "debian-bookworm": VM web uses it$/);
    return true;
  });
  vms.list = () => [];
  await tidy({ ...base, vms });
  await assert.rejects(Deno.stat(first.rootfsPath), Deno.errors.NotFound);
  await service.deleteImage(image, never);
  assert.deepEqual(await namesIn(base.paths.imagesDir), []);
  await assert.rejects(service.deleteImage(image, never), (e) => isBangerError(e, "not_found"));
});

Deno.test("a refresh with nothing new keeps the image", async () => {
  await using base = await imageServiceDeps();
  const service = new ImageService({
    ...base,
    buildImage: async (options) => {
      const built = await base.buildImage(options);
      await Deno.writeTextFile(`${options.stagingDir}/manifest`, "same\n");
      return { ...built, manifest: "same\n" };
    },
  });
  const pull = () => service.pullImage(image, { refresh: true }, recordingReporter(), never);
  assert.deepEqual(await pull(), await pull());
  assert.equal((await namesIn(base.paths.imagesDir)).length, 1);
});

Deno.test("unknown names are told with what was probably meant and what there is", async () => {
  await using deps = await imageServiceDeps();
  const service = new ImageService(deps);
  const options = { refresh: false };
  const attempts = [
    () => service.pullImage("debian-bokworm", options, recordingReporter(), never),
    () => service.deleteImage("debian-bokworm", never),
    () => service.showImage("debian-bokworm"),
    () => service.ensure("debian-bokworm", null, recordingReporter(), never),
  ];
  for (const attempt of attempts) {
    await assert.rejects(attempt, (error) => {
      assert.ok(isBangerError(error, "not_found"));
      assert.match(error.hint ?? "", /Did you mean debian-bookworm\? .*pulled: debian-bookworm/);
      return true;
    });
  }
  for (const name of ["constructor", "__proto__"]) {
    const pulls = [
      service.pullImage(name, options, recordingReporter(), never),
      service.pullKernel(name, options, recordingReporter(), never),
    ];
    for (const pull of pulls) await assert.rejects(pull, (e) => isBangerError(e, "not_found"));
  }
});

Deno.test("a boot set is pulled all at once, and found again for its VM", async () => {
  await using base = await imageServiceDeps();
  const service = new ImageService(base);
  const set = await service.ensure(image, null, recordingReporter(), never);
  assert.equal(set.kernel.name, kernel);
  assert.equal(await Deno.readTextFile(set.kitPath), "kit");
  const config = { ...vmConfigFixture, image, kernel };
  const vm = { config, imageDigest: set.image.digest, kernelDigest: set.kernel.digest };
  assert.deepEqual(await service.find(vm), set);
  await tidy(base);
  assert.deepEqual(await service.find(vm), set);
  await assert.rejects(
    service.find({ ...vm, kernelDigest: "sha256:1" }),
    (error) => isBangerError(error, "precondition"),
  );
});

Deno.test("when one part cannot be had the other pulls stop", async () => {
  await using base = await imageServiceDeps();
  const service = new ImageService({
    ...base,
    kernelSource: {
      ...base.kernelSource,
      pull: () => Promise.reject(new BangerError("unavailable", "Cannot reach the mirror")),
    },
    buildImage: ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      }),
  });
  await assert.rejects(
    service.ensure(image, null, recordingReporter(), never),
    (error) => isBangerError(error, "unavailable"),
  );
});

Deno.test("a kernel of another version of banger is made again, or used with a notice", async () => {
  await using base = await imageServiceDeps();
  let revision = "1";
  let reachable = true;
  const service = new ImageService({
    ...base,
    kernelSource: {
      ...base.kernelSource,
      revision: () => Promise.resolve(revision),
      pull: async (name, context) => {
        if (!reachable) throw new BangerError("unavailable", "Cannot reach the mirror");
        const staged = await base.kernelSource.pull(name, context);
        return { ...staged, digest: `sha256:${revision.repeat(64)}` };
      },
    },
  });
  const reporter = recordingReporter();
  const ensure = () => service.pullKernel(kernel, { refresh: false }, reporter, never);
  const first = await ensure();
  assert.equal(await ensure(), first);
  revision = "2";
  reachable = false;
  assert.equal(await ensure(), first);
  assert.deepEqual(reporter.events.filter((text) => text.startsWith("Using")), [
    "Using kernel debian-6.1-cloud of an earlier version: Cannot reach the mirror",
  ]);
  reachable = true;
  assert.notEqual((await ensure()).digest, first.digest);
});

Deno.test("the kit is built again when its inputs change, and old ones go at the next start", async () => {
  await using base = await imageServiceDeps();
  let key = "1";
  let builds = 0;
  const service = new ImageService({
    ...base,
    kitSource: {
      suite: "bookworm",
      key: () => Promise.resolve(key),
      build: async ({ stagingDir }) => {
        builds++;
        await Deno.writeTextFile(`${stagingDir}/kit-${key}.ext4`, key);
        return { file: `kit-${key}.ext4` };
      },
    },
  });
  const ensure = () => service.ensureKit(recordingReporter(), never);
  await Promise.all([ensure(), ensure()]);
  await ensure();
  assert.equal(builds, 1);
  key = "2";
  assert.equal(await Deno.readTextFile(await ensure()), "2");
  assert.equal(builds, 2);
  assert.deepEqual(await namesIn(base.paths.kitsDir), ["current.json", "kit-1.ext4", "kit-2.ext4"]);
  await tidy(base);
  assert.deepEqual(await namesIn(base.paths.kitsDir), ["current.json", "kit-2.ext4"]);
  await Deno.writeTextFile(`${base.paths.kitsDir}/current.json`, "{ broken");
  await ensure();
  assert.equal(builds, 3);
});

Deno.test("the start removes images without a row", async () => {
  await using deps = await imageServiceDeps();
  const service = new ImageService(deps);
  const kept = await service.pullImage(image, { refresh: false }, recordingReporter(), never);
  await Deno.mkdir(`${deps.paths.imagesDir}/orphan`);
  await Deno.writeTextFile(`${deps.paths.imagesDir}/orphan/rootfs.ext4`, "");
  await Deno.mkdir(`${deps.paths.stagingDir}/image-half`);
  await tidy(deps);
  assert.equal((await namesIn(deps.paths.imagesDir)).length, 1);
  assert.ok((await Deno.stat(kept.rootfsPath)).isFile);
  assert.deepEqual(await namesIn(deps.paths.stagingDir), []);
});
