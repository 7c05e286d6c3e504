import assert from "node:assert/strict";
import {
  imageServiceDeps,
  recordingReporter,
  vmConfigFixture,
} from "../../../tests/support/image_service_fixture.ts";
import { isBangerError } from "../../model/errors.ts";
import { run } from "../../process/run.ts";
import type { ImageServiceDeps, VmUses } from "./contract.ts";
import { ImageService } from "./image_service.ts";

const never = new AbortController().signal;
const kernel = "debian-6.1-cloud";
type Vms = { -readonly [K in keyof VmUses]: VmUses[K] };

interface Fixture {
  readonly service: ImageService;
  readonly deps: ImageServiceDeps;
  readonly vms: Vms;
  /** A file with an ext4 file system. */
  readonly disk: string;
  register(name?: string, path?: string, kernel?: string): Promise<string>;
  promote(name?: string): Promise<unknown>;
  /** From now on a VM is there, made of what has the name now. */
  useIt(name?: string): void;
}

async function fixture(body: (fixture: Fixture) => Promise<void>): Promise<void> {
  await using base = await imageServiceDeps();
  const vms: Vms = { list: () => [] };
  const deps = { ...base, vms };
  const service = new ImageService(deps);
  const disk = `${base.root}/disk.ext4`;
  await run("mkfs.ext4", ["-q", "-F", disk, "8M"], { timeoutMs: 20_000 });
  await body({
    service,
    deps,
    vms,
    disk,
    register: async (name = "mine", path = disk, kernel) =>
      (await service.registerImage({ name, path, kernel: kernel ?? null }, never)).digest,
    promote: (name = "mine") => service.promoteImage(name, recordingReporter(), never),
    useIt: (name = "mine") => {
      const config = { ...vmConfigFixture, image: name, kernel };
      const imageDigest = deps.images.find(name)!.digest;
      vms.list = () => [{ config, imageDigest, kernelDigest: "sha256:0" }];
    },
  });
}

function refused(kind: string, words: RegExp, hint = /./) {
  return (error: unknown) => {
    assert.ok(isBangerError(error), String(error));
    assert.equal(error.kind, kind, error.message);
    assert.match(error.message, words);
    assert.match(error.hint ?? "", hint);
    return true;
  };
}

/** Rewrites a byte behind the file system's superblock, with a time of its own. */
async function change(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true });
  await file.seek(6 * 1024 ** 2, Deno.SeekMode.Start);
  await file.write(new Uint8Array([1]));
  await Deno.utime(path, new Date(), new Date(1_700_000_000_000));
}

Deno.test("a registered file is an image where it is, and boots with the kernel that was said", async () => {
  await fixture(async ({ service, deps, disk, register }) => {
    const digest = await register();
    const image = await service.showImage("mine");
    assert.equal(image.rootfsPath, await Deno.realPath(disk));
    assert.deepEqual([image.managed, image.source, image.kernel], [false, `file:${disk}`, kernel]);
    assert.equal(image.virtualBytes, 8 * 1024 ** 2);
    const set = await service.ensure("mine", null, recordingReporter(), never);
    assert.equal(set.image.rootfsPath, image.rootfsPath);
    // The same again is the same; another kernel is said anew.
    assert.equal(await register(), digest);
    await service.pullKernel(kernel, { refresh: false }, recordingReporter(), never);
    assert.equal(await register("mine", disk, kernel), digest);
    assert.deepEqual(deps.images.listSuperseded(), []);
    await service.deleteImage("mine", never);
    assert.ok((await Deno.stat(disk)).isFile, "the file is the user's");
  });
});

Deno.test("a name that is taken, a kernel that is none and a file of banger's are refused", async () => {
  await fixture(async ({ service, deps, disk, register, promote }) => {
    await register();
    await Deno.copyFile(disk, `${disk}.2`);
    const taken = refused("conflict", /"mine": that image came from file:/);
    await assert.rejects(register("mine", `${disk}.2`), taken);
    await assert.rejects(
      register("debian-bookworm"),
      refused("conflict", /banger builds an image of that name/),
    );
    await assert.rejects(
      register("x", disk, "debian-6.1-clod"),
      refused("not_found", /Cannot pull kernel "debian-6.1-clod": there is none/),
    );
    await promote();
    await assert.rejects(register(), taken);
    const own = (await service.showImage("mine")).rootfsPath;
    await assert.rejects(register("x", own), refused("invalid", /it is a file of another image/));
    assert.equal(deps.images.list().length, 1);
  });
});

Deno.test("an image whose source was named is not pulled by its name, but told how", async () => {
  await fixture(async ({ service, deps, register }) => {
    await register();
    const pull = () => service.pullImage("mine", { refresh: true }, recordingReporter(), never);
    const anew = /^banger image register mine --rootfs \/.*disk\.ext4$/;
    await assert.rejects(pull(), refused("conflict", /of that name came from file:/, anew));
    const again = [
      ["registry:h/app:1", /^banger image pull --refresh --name mine h\/app:1$/],
      ["oci:/dir:1", /^banger image pull --refresh --name mine oci:\/dir:1$/],
      ["docker-archive:/x.tar", /--name mine docker-archive:\/x\.tar$/],
    ] as const;
    for (const [source, hint] of again) {
      // Also one whose files were removed by hand, without a refresh.
      deps.images.publish({
        ...deps.images.find("mine")!,
        source,
        managed: true,
        rootfsPath: "/gone",
      });
      await assert.rejects(pull(), refused("conflict", /of that name came from/, hint));
      await assert.rejects(
        service.ensure("mine", null, recordingReporter(), never),
        refused("conflict", /of that name came from/, hint),
      );
    }
  });
});

Deno.test("a file that is changed or gone is found out before anything starts", async () => {
  await fixture(async ({ service, deps, vms, disk, register, useIt }) => {
    const first = await register();
    const vm = () => vms.list()[0]!;
    await service.ensure("mine", null, recordingReporter(), never);
    useIt();
    deps.kernels.list().forEach(({ digest }) => {
      const [only] = vms.list();
      vms.list = () => [{ ...only!, kernelDigest: digest }];
    });
    await service.find(vm());
    await change(disk);
    const changed = refused(
      "precondition",
      /"mine": ".*disk\.ext4" has changed since it was registered$/,
      /banger image register mine --rootfs/,
    );
    await assert.rejects(service.find(vm()), changed);
    await assert.rejects(service.ensure("mine", null, recordingReporter(), never), changed);
    // Registered as it is now, new VMs start; the one of before does not.
    assert.notEqual(await register(), first);
    await service.ensure("mine", null, recordingReporter(), never);
    await assert.rejects(service.find(vm()), changed);
    assert.equal(deps.images.listSuperseded()[0]?.digest, first);
    for (
      const spoil of [
        () => Deno.writeTextFile(disk, "no file system"),
        async () => {
          await Deno.remove(disk);
          await Deno.mkdir(disk);
        },
      ]
    ) {
      await spoil();
      await assert.rejects(service.ensure("mine", null, recordingReporter(), never), changed);
    }
    await Deno.remove(disk);
    await assert.rejects(
      service.ensure("mine", null, recordingReporter(), never),
      refused("precondition", /"mine": ".*disk\.ext4" is gone$/, /banger image delete mine/),
    );
  });
});

Deno.test("a promoted image is a copy with holes and a digest, and is published whole", async () => {
  await fixture(async ({ service, deps, disk, register, promote }) => {
    await register();
    await promote();
    const { rootfsPath, digest, managed, source } = await service.showImage("mine");
    const sum = await run("sha256sum", ["--", disk], { timeoutMs: 20_000 });
    assert.equal(digest, `sha256:${new TextDecoder().decode(sum.stdout).split(" ")[0]}`);
    assert.deepEqual([managed, source], [true, `file:${disk}`]);
    assert.equal((await Deno.stat(rootfsPath)).mode! & 0o777, 0o444);
    assert.ok((await Deno.stat(rootfsPath)).blocks! * 512 < 4 * 1024 ** 2, "its holes are kept");
    assert.deepEqual(deps.images.listSuperseded(), [], "nothing uses what was registered");
    // Changes of the file mean nothing any more, and the same again does nothing.
    await change(disk);
    await service.ensure("mine", null, recordingReporter(), never);
    const reporter = recordingReporter();
    await service.promoteImage("mine", reporter, never);
    assert.deepEqual(reporter.events, ["Image mine is managed already"]);
    await assert.rejects(
      promote("min"),
      refused("not_found", /Cannot promote image "min"/, /mine/),
    );
  });
});

Deno.test("a file that changes while it is copied is not promoted, and nothing is left", async () => {
  await fixture(async ({ service, deps, disk, register, useIt, promote }) => {
    await register();
    useIt();
    let looks = 0;
    const { rootfsFile } = deps;
    const racing = new ImageService({
      ...deps,
      rootfsFile: async (path) => {
        if (++looks === 2) await change(disk);
        return await rootfsFile(path);
      },
    });
    await assert.rejects(
      racing.promoteImage("mine", recordingReporter(), never),
      refused("conflict", /has changed while it was copied/, /register it again/),
    );
    await assert.rejects(promote(), refused("precondition", /has changed since/));
    for (const dir of [deps.paths.stagingDir, deps.paths.imagesDir]) {
      assert.deepEqual(await Array.fromAsync(Deno.readDir(dir)), []);
    }
    assert.equal((await service.showImage("mine")).managed, false);
    // VMs that were made before keep the file itself.
    await register();
    useIt();
    const before = deps.images.find("mine")!.digest;
    await promote();
    assert.equal(deps.images.findByDigest(before)?.rootfsPath, await Deno.realPath(disk));
  });
});
