/**
 * Publishes bundles with the scripts into a directory that is served on loopback, and pulls them
 * from there: as they are, and spoilt in every way that a server, a mirror or a thief could.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { MemberName } from "../../src/bundles/bundle.ts";
import { pullBundle, type PullBundleOptions } from "../../src/bundles/pull_bundle.ts";
import { writeBundle } from "../../src/bundles/write_bundle.ts";
import { type CatalogEntry, findEntry } from "../../src/catalog/catalog.ts";
import { loadCatalog, loadTrust } from "../../src/catalog/load_catalog.ts";
import { extractVmlinux } from "../../src/kernels/extract_vmlinux.ts";
import { BangerError, type ErrorKind, isBangerError } from "../../src/model/errors.ts";
import { silentReporter } from "../../src/model/stages.ts";
import { run } from "../../src/process/run.ts";
import { elfKernelFixture } from "../support/bundle_fixture.ts";
import { bzImageFixture } from "../support/deb_fixture.ts";
import { type FileServer, serveFiles } from "../support/file_server.ts";
import { GpgHome } from "../support/gpg_home.ts";
import { recordingReporter } from "../support/image_service_fixture.ts";
import { MountNamespace } from "../support/mount_namespace.ts";
import { skipUnless } from "../support/require.ts";

const root = new URL("../..", import.meta.url).pathname;
const never = new AbortController().signal;
const createdAtS = 1_767_225_600;
const able = await GpgHome.isPossible();
const fast = { retryDelaysMs: [1, 1], stallTimeoutMs: 5_000 };

/** A published catalog: `tiny` as an image and as a kernel. */
interface Published extends AsyncDisposable {
  readonly dir: string;
  readonly catalogDir: string;
  readonly server: FileServer;
  readonly gpg: GpgHome;
  readonly ours: string;
  readonly other: string;
  readonly files: Readonly<Record<string, Uint8Array>>;
}

/** What the kit was made of. */
const kitKey = "0123456789abcdef".repeat(4);

async function published(): Promise<Published> {
  await using undo = new AsyncDisposableStack();
  const dir = await Deno.makeTempDir({ prefix: "banger-publish-" });
  undo.defer(() => Deno.remove(dir, { recursive: true }));
  const catalogDir = `${dir}/catalog`;
  await Deno.mkdir(catalogDir);
  const gpg = undo.use(await GpgHome.make());
  const ours = await gpg.makeKey("ours");
  const other = await gpg.makeKey("other");
  const rootfs = new Uint8Array(3 << 20);
  rootfs.set(crypto.getRandomValues(new Uint8Array(60_000)), 1 << 20);
  const files = {
    rootfs,
    vmlinux: elfKernelFixture(),
    bzImage: bzImageFixture(elfKernelFixture(4096)),
    initrd: crypto.getRandomValues(new Uint8Array(5000)),
    "kit-0123456789ab.ext4": new Uint8Array(1 << 20).fill(9, 4096, 8192),
    "current.json": new TextEncoder().encode(
      JSON.stringify({ key: kitKey, file: "kit-0123456789ab.ext4" }),
    ),
  };
  for (const [name, bytes] of Object.entries(files)) await Deno.writeFile(`${dir}/${name}`, bytes);
  const server = undo.use(serveFiles(catalogDir));
  const moved = undo.move();
  return {
    ...{ dir, catalogDir, server, gpg, ours, other, files },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

interface ScriptEnd {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function script(
  at: Pick<Published, "gpg">,
  name: string,
  args: readonly string[],
): Promise<ScriptEnd> {
  const { code, stdout, stderr } = await run(`${root}scripts/${name}`, args, {
    env: { ...at.gpg.env, HOME: at.gpg.path },
    timeoutMs: 120_000,
    okCodes: [0, 1, 2],
  });
  return { code, out: new TextDecoder().decode(stdout), err: stderr };
}

function kernelArgs(at: Published, ...more: readonly string[]): string[] {
  return [
    ...["--catalog", at.catalogDir, "--key", at.ours, "--name", "tiny", "--version", "6.1.0-tiny"],
    ...["--created", String(createdAtS), "--level", "1", ...more],
  ];
}

function imageArgs(at: Published, ...more: readonly string[]): string[] {
  return [
    ...kernelArgs(at, "--kernel-name", "tiny-kernel", "--rootfs", `${at.dir}/rootfs`),
    ...["--kernel", `${at.dir}/vmlinux`, "--initrd", `${at.dir}/initrd`, ...more],
  ];
}

async function publish(at: Published, name: string, args: readonly string[]): Promise<void> {
  const { code, out, err } = await script(at, name, args);
  assert.equal(code, 0, err);
  assert.match(out, /^published /m);
}

async function entryOf(at: Published, kind: "image" | "kernel"): Promise<CatalogEntry> {
  const catalog = await loadCatalog({ url: `${at.server.url}catalog.json` }, { signal: never });
  const entry = findEntry(catalog, { kind, name: "tiny", arch: "x86_64" });
  assert.ok(entry !== undefined);
  return entry;
}

interface Pulled {
  readonly result: Awaited<ReturnType<typeof pullBundle>> | undefined;
  readonly error: unknown;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

async function pull(
  at: Published,
  entry: CatalogEntry,
  options: Partial<PullBundleOptions> = {},
): Promise<Pulled> {
  const stagingDir = await Deno.makeTempDir({ prefix: "banger-test-" });
  try {
    let result: Pulled["result"];
    let error: unknown;
    try {
      result = await pullBundle(entry, {
        stagingDir,
        trust: { fingerprints: [at.ours], keyring: await at.gpg.exportKeys(at.ours, at.other) },
        nowMs: Date.now() + 1000,
        extractKernel: (image, signal) => extractVmlinux(image, { signal }),
        reporter: silentReporter,
        signal: never,
        ...fast,
        ...options,
      });
    } catch (thrown) {
      error = thrown;
    }
    const files = new Map<string, Uint8Array>();
    for await (const { name } of Deno.readDir(stagingDir)) {
      files.set(name, await Deno.readFile(`${stagingDir}/${name}`));
    }
    return { result, error, files };
  } finally {
    await Deno.remove(stagingDir, { recursive: true });
  }
}

/** Asserts that a pull is refused with kind, code and words, and leaves nothing. */
async function refused(
  at: Published,
  entry: CatalogEntry,
  [kind, code, words]: readonly [ErrorKind, string, RegExp],
  options: Partial<PullBundleOptions> = {},
): Promise<void> {
  const { error, files } = await pull(at, entry, options);
  assert.ok(isBangerError(error), `${words}: ${error}`);
  assert.match(error.message, words);
  assert.deepEqual([error.kind, error.code], [kind, code]);
  assert.deepEqual([...files.keys()], []);
}

async function namesIn(dir: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name).sort();
}

function publishTest(name: string, fn: (at: Published) => Promise<void>): void {
  Deno.test({
    name,
    ignore: skipUnless(name, able, "gpg or gpg-agent is not installed"),
    async fn() {
      await using at = await published();
      await fn(at);
    },
  });
}

publishTest("what the scripts publish is pulled, byte by byte", async (at) => {
  await publish(
    at,
    "publish-golden-image.sh",
    imageArgs(at, "--kit", `${at.dir}/kit-0123456789ab.ext4`, "--command-line", "quiet a=1"),
  );
  await publish(at, "publish-kernel.sh", kernelArgs(at, "--kernel", `${at.dir}/bzImage`));
  const reporter = recordingReporter();
  const image = await pull(at, await entryOf(at, "image"), { reporter });
  assert.equal(image.error, undefined);
  assert.deepEqual(image.files.get("rootfs.ext4"), at.files.rootfs);
  assert.deepEqual(image.files.get("vmlinux"), at.files.vmlinux);
  assert.deepEqual(image.files.get("initrd.img"), at.files.initrd);
  assert.deepEqual(image.files.get("kit.ext4"), at.files["kit-0123456789ab.ext4"]);
  assert.equal(image.files.size, 4);
  assert.equal(image.result?.signer, at.ours);
  assert.deepEqual(image.result?.files, {
    rootfs: "rootfs.ext4",
    vmlinux: "vmlinux",
    initrd: "initrd.img",
    modules: null,
    workSeed: null,
    kit: "kit.ext4",
  });
  const { kernel, createdAtMs, virtualSize } = image.result.metadata;
  assert.deepEqual(kernel, {
    name: "tiny-kernel",
    version: "6.1.0-tiny",
    commandLine: ["quiet", "a=1"],
  });
  assert.deepEqual([image.result.metadata.kitKey, createdAtMs, virtualSize], [
    kitKey,
    createdAtS * 1000,
    3 << 20,
  ]);
  const stages = ["bundle.download", "bundle.verify", "bundle.unpack"];
  assert.deepEqual(reporter.events, stages.flatMap((id) => [`started ${id}`, `finished ${id}`]));

  const bare = await pull(at, await entryOf(at, "kernel"));
  assert.equal(bare.error, undefined);
  assert.deepEqual([...bare.files.keys()], ["vmlinux"]);
  assert.deepEqual(bare.files.get("vmlinux"), elfKernelFixture(4096));
});

publishTest(
  "a catalog in a file, and keys from the configuration, lead to the same",
  async (at) => {
    const args = ["--kernel", `${at.dir}/vmlinux`, "--base-url", at.server.url];
    await publish(at, "publish-kernel.sh", kernelArgs(at, ...args));
    const url = `${at.catalogDir}/catalog.json`;
    const catalog = await loadCatalog({ url }, { signal: never });
    const keyring = `${at.catalogDir}/key-${at.ours}.asc`;
    const trust = await loadTrust({ url, keyring, fingerprints: [at.ours] });
    const { result } = await pull(at, catalog.entries[0]!, { trust });
    assert.equal(result?.metadata.name, "tiny");
  },
);

publishTest(
  "publishing again replaces the entry, with the same bytes for the same files",
  async (at) => {
    const args = kernelArgs(at, "--kernel", `${at.dir}/vmlinux`);
    await publish(at, "publish-kernel.sh", args);
    const first = await entryOf(at, "kernel");
    await publish(at, "publish-kernel.sh", args);
    assert.deepEqual(await entryOf(at, "kernel"), first);
    await publish(at, "publish-kernel.sh", kernelArgs(at, "--kernel", `${at.dir}/bzImage`));
    const second = await entryOf(at, "kernel");
    assert.notEqual(second.sha256, first.sha256);
    const catalog = JSON.parse(await Deno.readTextFile(`${at.catalogDir}/catalog.json`));
    assert.equal(catalog.entries.length, 1);
    // Who still has the old catalog finds what it names.
    assert.equal((await pull(at, first)).error, undefined);
  },
);

publishTest("wrong arguments are told, and nothing is published", async (at) => {
  const kernel = ["--kernel", `${at.dir}/vmlinux`];
  const good = kernelArgs(at, ...kernel);
  const without = (option: string) => good.toSpliced(good.indexOf(option), 2);
  const instead = (option: string, value: string) =>
    good.toSpliced(good.indexOf(option) + 1, 1, value);
  const cases: readonly (readonly [string, readonly string[], number, RegExp])[] = [
    ["publish-kernel.sh", without("--key"), 2, /--key is missing/],
    ["publish-kernel.sh", without("--kernel"), 2, /--kernel is missing/],
    ["publish-kernel.sh", [...good, "--rootfs", "x"], 2, /there is no option "--rootfs"/],
    ["publish-kernel.sh", [...good, "--arch"], 2, /--arch needs a value/],
    ["publish-kernel.sh", [...good, "--arch", "riscv64"], 2, /--arch must be/],
    ["publish-kernel.sh", [...good, ...kernel], 2, /--kernel is given twice/],
    ["publish-kernel.sh", instead("--kernel", "/nonexistent"), 2, /there is no file/],
    ["publish-kernel.sh", instead("--key", at.ours.slice(-16)), 1, /the whole fingerprint/],
    ["publish-kernel.sh", instead("--key", "0".repeat(40)), 1, /gpg has no secret key/],
    ["publish-kernel.sh", instead("--name", "../x"), 1, /--name must be/],
    ["publish-kernel.sh", instead("--catalog", `${at.dir}/none`), 1, /does not exist/],
    ["publish-kernel.sh", instead("--version", "six"), 1, /it is no version/],
    ["publish-kernel.sh", instead("--kernel", `${at.dir}/initrd`), 1, /not a 64-bit ELF file/],
    ["publish-kernel.sh", [...good, "--command-line", "a$(id)"], 1, /commandLine/],
    ["publish-kernel.sh", [...good, "--base-url", "http://x y"], 1, /--base-url/],
    ["publish-golden-image.sh", good, 2, /--rootfs is missing/],
    [
      "publish-golden-image.sh",
      imageArgs(at, "--kit", `${at.dir}/initrd`),
      1,
      /no current.json beside it says that it is the current kit/,
    ],
  ];
  for (const [name, args, code, words] of cases) {
    const end = await script(at, name, args);
    assert.deepEqual([end.code, words.test(end.err)], [code, true], `${words}: ${end.err}`);
  }
  assert.deepEqual(await namesIn(at.catalogDir), []);
  const help = await script(at, "publish-golden-image.sh", ["--help"]);
  assert.deepEqual([help.code, /^usage: /.test(help.out)], [0, true]);
});

publishTest("a catalog that is damaged is not written to", async (at) => {
  const path = `${at.catalogDir}/catalog.json`;
  await Deno.writeTextFile(path, '{"format": 2, "entries": []}');
  const end = await script(
    at,
    "publish-kernel.sh",
    kernelArgs(at, "--kernel", `${at.dir}/vmlinux`),
  );
  assert.equal(end.code, 1);
  assert.match(end.err, /format 2/);
  assert.equal(await Deno.readTextFile(path), '{"format": 2, "entries": []}');
  const left = await namesIn(at.catalogDir);
  assert.deepEqual(left.filter((name) => name.includes("bundle") || name.startsWith(".p")), []);
});

publishTest("signatures that do not count are refused before the bundle is fetched", async (at) => {
  await publish(at, "publish-golden-image.sh", imageArgs(at));
  const entry = await entryOf(at, "image");
  const bundle = `${at.catalogDir}/${entry.url.slice(at.server.url.length)}`;
  const signature = `${bundle}.asc`;
  const good = await Deno.readFile(signature);
  const keyring = await at.gpg.exportKeys(at.ours, at.other);
  const unverified = (words: RegExp) => ["untrusted", "BUNDLE_UNVERIFIED", words] as const;
  const fetchedBefore = at.server.requests.filter((name) => name.endsWith(".bundle")).length;

  await refused(at, entry, unverified(/which is not pinned/), {
    trust: { fingerprints: [at.other], keyring },
  });
  await refused(at, entry, ["precondition", "BUNDLE_UNVERIFIED", /no signing key is pinned/], {
    trust: { fingerprints: [], keyring },
  });
  await Deno.writeFile(signature, await at.gpg.sign(bundle, at.other));
  await refused(at, entry, unverified(/which is not pinned/));
  await refused(at, entry, unverified(/the catalog promises/), {
    trust: { fingerprints: [at.ours, at.other], keyring },
  });
  await Deno.writeFile(signature, await at.gpg.sign(bundle, at.ours, at.other));
  await refused(at, entry, unverified(/it has 2 signatures, exactly one is allowed/));
  const text = new TextDecoder().decode(good);
  await Deno.writeTextFile(signature, text + text);
  await refused(at, entry, unverified(/more than one armoured block/));
  await Deno.writeTextFile(signature, "");
  await refused(at, entry, unverified(/it is not signed/));
  await Deno.writeFile(
    signature,
    await at.gpg.gpg(["--local-user", at.ours, "-o", "-", "--sign", `${at.dir}/vmlinux`]),
  );
  await refused(at, entry, unverified(/cannot be read/));
  await Deno.remove(signature);
  await refused(at, entry, unverified(/the server has no signature/));
  const fetched = at.server.requests.filter((name) => name.endsWith(".bundle")).length;
  assert.equal(fetched, fetchedBefore);

  // Good, but over another file.
  await Deno.writeFile(signature, await at.gpg.sign(`${at.dir}/vmlinux`, at.ours));
  await refused(at, entry, unverified(/its signature is not valid/));
  await Deno.writeFile(signature, good);
  assert.equal((await pull(at, entry)).error, undefined);
});

publishTest("a bundle that is cut off or changed is refused", async (at) => {
  await publish(at, "publish-golden-image.sh", imageArgs(at));
  const entry = await entryOf(at, "image");
  const path = `${at.catalogDir}/${entry.url.slice(at.server.url.length)}`;
  const good = await Deno.readFile(path);
  /** What a server could say that also spoils the catalog; it has no key. */
  const told = (bytes: Uint8Array): CatalogEntry => ({
    ...entry,
    size: bytes.length,
    sha256: createHash("sha256").update(bytes).digest("hex"),
  });
  const changed = good.slice();
  changed[good.length >> 1]! ^= 1;
  await Deno.writeFile(path, changed);
  await refused(at, entry, ["untrusted", "HASH_MISMATCH", /its SHA-256 is not the one in the/]);
  await refused(at, told(changed), ["untrusted", "BUNDLE_UNVERIFIED", /signature is not valid/]);

  const cut = good.slice(0, good.length - 100);
  await Deno.writeFile(path, cut);
  const sizes = new RegExp(`it has ${cut.length} bytes, ${good.length} were expected`);
  await refused(at, entry, ["untrusted", "SIZE_MISMATCH", sizes]);
  await refused(at, told(cut), ["untrusted", "BUNDLE_UNVERIFIED", /signature is not valid/]);

  // Signed as it is, by the right key: it is still no bundle.
  await Deno.writeFile(`${path}.asc`, await at.gpg.sign(path, at.ours));
  await refused(at, told(cut), ["untrusted", "BUNDLE_INVALID", /its compressed data is damaged/]);
});

publishTest(
  "what was signed is not taken for something else, or for something newer",
  async (at) => {
    await publish(at, "publish-golden-image.sh", imageArgs(at));
    const entry = await entryOf(at, "image");
    const mismatch = (words: RegExp) => ["untrusted", "BUNDLE_MISMATCH", words] as const;
    await refused(
      at,
      { ...entry, name: "debian" },
      mismatch(/its name is "tiny", the catalog says "debian"/),
    );
    await refused(at, { ...entry, kind: "kernel" }, mismatch(/its kind is "image"/));
    await refused(at, { ...entry, arch: "aarch64" }, mismatch(/its arch is "x86_64"/));
    const old = ["untrusted", "BUNDLE_DOWNGRADE", /made at 2026-01-01T00:00:00/] as const;
    await refused(at, entry, old, { notBeforeMs: createdAtS * 1000 + 1 });
    assert.equal((await pull(at, entry, { notBeforeMs: createdAtS * 1000 })).error, undefined);
  },
);

publishTest("a kernel that is not a kernel is refused, also when it is signed", async (at) => {
  const cases: readonly (readonly [MemberName, Uint8Array])[] = [
    ["vmlinux", new TextEncoder().encode("#!/bin/sh\n".repeat(100))],
    ["vmlinux", bzImageFixture(elfKernelFixture())],
    ["bzImage", elfKernelFixture()],
    ["bzImage", bzImageFixture(new TextEncoder().encode("\x7fELF, they say"))],
    ["bzImage", bzImageFixture(new TextEncoder().encode("no"))],
  ];
  for (const [member, bytes] of cases) {
    const file = `${at.dir}/not-a-kernel`;
    await Deno.writeFile(file, bytes);
    const path = `${at.catalogDir}/bad.bundle`;
    const written = await writeBundle({
      metadata: {
        ...{ kind: "kernel", name: "tiny", arch: "x86_64", kitKey: null, createdAtMs: 0 },
        kernel: { name: "tiny", version: "6.1.0", commandLine: [] },
      },
      files: { [member]: file },
    }, { path, level: 1, signal: never });
    await Deno.writeFile(`${path}.asc`, await at.gpg.sign(path, at.ours));
    const entry: CatalogEntry = {
      ...{ kind: "kernel", name: "tiny", arch: "x86_64", signer: at.ours },
      ...{ url: `${at.server.url}bad.bundle`, signatureUrl: `${at.server.url}bad.bundle.asc` },
      ...{ sha256: written.sha256, size: written.size },
    };
    await refused(at, entry, [
      "untrusted",
      "NOT_A_KERNEL",
      /"(vmlinux|bzImage)": it is not a kernel/,
    ]);
  }
});

publishTest("a disk that is too small, and one who stops, leave nothing", async (at) => {
  await publish(at, "publish-golden-image.sh", imageArgs(at));
  const entry = await entryOf(at, "image");
  const asked: number[] = [];
  const full = new BangerError("exhausted", "no space", { code: "NO_SPACE" });
  for (const limit of [0, 1]) {
    asked.length = 0;
    await refused(at, entry, ["exhausted", "NO_SPACE", /no space/], {
      checkSpace: (bytes) => {
        asked.push(bytes);
        return asked.length > limit ? Promise.reject(full) : Promise.resolve();
      },
    });
  }
  assert.equal(asked[0], entry.size);
  assert.ok((asked[1] ?? 0) >= 60_000 + 5000 && (asked[1] ?? 0) < 200_000, String(asked));

  for (const stage of ["bundle.download", "bundle.verify", "bundle.unpack"]) {
    const stop = new AbortController();
    const { error, files } = await pull(at, entry, {
      signal: stop.signal,
      reporter: {
        notice: () => {},
        stage: (running, body) => {
          if (running.id === stage) stop.abort();
          return body(() => {});
        },
      },
    });
    assert.ok(isBangerError(error, "cancelled"), `${stage}: ${error}`);
    assert.deepEqual([...files.keys()], [], stage);
  }
});

const fullDisk = "a disk that fills up in the middle is told, and nothing is left";
Deno.test({
  name: fullDisk,
  ignore: skipUnless(fullDisk, able && Deno.uid() === 0, "it needs gpg and root"),
  async fn() {
    await using at = await published();
    await publish(at, "publish-golden-image.sh", imageArgs(at));
    const entry = await entryOf(at, "image");
    // Too small for the download, and for the download with what is unpacked of it.
    for (
      const [kib, words] of [[32, /Cannot pull image "tiny"/], [100, /unpack bundle/]] as const
    ) {
      const mount = `mount -t tmpfs -o mode=0700,size=${kib}k tmpfs ${at.dir}/catalog`;
      await using namespace = await MountNamespace.make(mount);
      const pid = namespace.via[namespace.via.indexOf("--target") + 1];
      const stagingDir = `/proc/${pid}/root${at.dir}/catalog`;
      const { error } = await pull(at, entry, { stagingDir });
      assert.ok(isBangerError(error, "exhausted"), String(error));
      assert.equal(error.code, "NO_SPACE");
      assert.match(error.message, words);
      assert.deepEqual(await namesIn(stagingDir), []);
    }
  },
});
