import assert from "node:assert/strict";
import { findMirror } from "../../src/debian/find_mirror.ts";
import { type KernelPullOptions, pullDebianCloudKernel } from "../../src/kernels/debian_cloud.ts";
import { BangerError } from "../../src/model/errors.ts";
import { kernelReleaseFixture, plainKernelFixture } from "../support/deb_fixture.ts";
import { debianMirror, type MirrorFaults } from "../support/debian_mirror.ts";

/** A directory that is removed with everything in it. */
async function scratch() {
  const path = await Deno.makeTempDir({ prefix: "banger-kernel-test-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

async function pullFrom(
  faults: MirrorFaults,
  check: (
    pull: () => ReturnType<typeof pullDebianCloudKernel>,
    options: KernelPullOptions,
    requests: readonly string[],
  ) => Promise<void>,
): Promise<void> {
  await using directory = await scratch();
  await using mirror = await debianMirror(directory.path, faults);
  const stagingDir = `${directory.path}/staging`;
  const cacheDir = `${directory.path}/cache`;
  await Deno.mkdir(stagingDir);
  await Deno.mkdir(cacheDir);
  const options: KernelPullOptions = {
    name: "debian-6.1-cloud",
    mirror: mirror.url,
    keyringPath: mirror.keyringPath,
    arch: "amd64",
    stagingDir,
    cacheDir,
    nowMs: Date.parse("2026-06-01T00:00:00Z"),
    retryDelaysMs: [1, 1],
  };
  await check(() => pullDebianCloudKernel(options), options, mirror.requests);
}

Deno.test("a good mirror gives a kernel with initrd and modules disk", async () => {
  await pullFrom({}, async (pull, options) => {
    const kernel = await pull();
    assert.equal(kernel.version, kernelReleaseFixture);
    assert.deepEqual(await Deno.readFile(kernel.files.vmlinux), plainKernelFixture);
    const disk = await Deno.readFile(kernel.files.modulesExt4);
    assert.deepEqual([...disk.subarray(0x438, 0x43a)], [0x53, 0xef], "ext4's magic number");
    const initrd = new TextDecoder("latin1").decode(await Deno.readFile(kernel.files.initrd));
    assert.ok(initrd.indexOf("virtio_ring.ko\nvirtio.ko\nvirtio_mmio.ko\n") > 0);
    const left = await Array.fromAsync(Deno.readDir(options.stagingDir), (entry) => entry.name);
    assert.deepEqual(left.sort(), [
      "initrd.img",
      "modules.ext4",
      "probe-initrd.img",
      "vmlinux",
      "vmlinuz",
    ]);
  });
});

Deno.test("a cached package is used again, and fetched again when it was changed", async () => {
  await pullFrom({}, async (pull, options, requests) => {
    const debs = () => requests.filter((path) => path.endsWith(".deb")).length;
    const again = async () => {
      await Deno.remove(options.stagingDir, { recursive: true });
      await Deno.mkdir(options.stagingDir);
      await pull();
    };
    const { package: record } = await pull();
    await again();
    assert.equal(debs(), 1);
    await Deno.writeTextFile(`${options.cacheDir}/${record.sha256}.deb`, "planted");
    await again();
    assert.equal(debs(), 2);
  });
});

Deno.test("a broken connection is tried again, and given up in the end", async () => {
  await pullFrom({ brokenConnections: 2 }, async (pull) => void await pull());
  await pullFrom({ brokenConnections: 3 }, async (pull, options) => {
    await assert.rejects(pull, (error) => {
      assert.ok(error instanceof BangerError);
      assert.equal(error.kind, "unavailable");
      assert.match(error.message, /^Cannot download "linux-image-.*\.deb": the connection broke/);
      return true;
    });
    assert.deepEqual(await Array.fromAsync(Deno.readDir(options.cacheDir ?? "")), []);
  });
});

const refused: readonly (readonly [string, MirrorFaults, RegExp])[] = [
  ["a changed release", { tampered: true }, /InRelease": it has no valid signature/],
  ["an unknown key", { unknownKey: true }, /InRelease": it has no valid signature/],
  ["an unsigned release", { unsigned: true }, /InRelease": it is not signed/],
  ["an expired release", { expired: true }, /InRelease": it was valid until 2026-01-02/],
  ["another suite", { otherSuite: true }, /InRelease": it is of "trixie", not of "bookworm"/],
  ["a wrong index", { wrongIndex: true }, /its SHA-256 is wrong/],
  ["a wrong package hash", { wrongPackageHash: true }, /linux-image.*: its SHA-256 is wrong/],
  ["a wrong package size", { wrongPackageSize: true }, /it has \d+ bytes, \d+ were expected/],
  ["a cut-off package", { cutPackage: true }, /it has \d+ bytes, \d+ were expected/],
];

for (const [name, faults, message] of refused) {
  Deno.test(`${name} is refused and leaves nothing`, async () => {
    await pullFrom(faults, async (pull, options) => {
      await assert.rejects(pull, (error) => {
        assert.ok(error instanceof BangerError, String(error));
        assert.equal(error.kind, "untrusted");
        assert.match(error.message, message);
        return true;
      });
      assert.deepEqual(await Array.fromAsync(Deno.readDir(options.cacheDir ?? "")), []);
      assert.deepEqual(await Array.fromAsync(Deno.readDir(options.stagingDir)), []);
    });
  });
}

Deno.test("a cancelled pull stops and leaves no partial file", async () => {
  await pullFrom({}, async (_pull, options) => {
    const stop = new AbortController();
    const pull = pullDebianCloudKernel({
      ...options,
      signal: stop.signal,
      onProgress: (step) => step === "download" && stop.abort(),
    });
    await assert.rejects(
      pull,
      (error) => error instanceof BangerError && error.kind === "cancelled",
    );
    assert.deepEqual(await Array.fromAsync(Deno.readDir(options.stagingDir)), []);
  });
});

Deno.test("the real archive's kernel is pulled and verified", async () => {
  await using directory = await scratch();
  const kernel = await pullDebianCloudKernel({
    name: "debian-6.1-cloud",
    mirror: await findMirror({ suite: "bookworm" }),
    keyringPath: "/usr/share/keyrings/debian-archive-keyring.gpg",
    arch: Deno.build.arch === "x86_64" ? "amd64" : "arm64",
    stagingDir: directory.path,
    nowMs: Date.now(),
  });
  assert.match(kernel.version, /^6\.1\.0-\d+-cloud-/);
  assert.ok((await Deno.stat(kernel.files.vmlinux)).size > 20_000_000);
  assert.ok((await Deno.stat(kernel.files.initrd)).size < 8_000_000);
});
