/** Images and kernels of a catalog: published by the project's scripts, pulled, refused, booted. */
import assert from "node:assert/strict";
import { Banger } from "../support/banger.ts";
import { elfKernelFixture } from "../support/bundle_fixture.ts";
import { bzImageFixture } from "../support/deb_fixture.ts";
import {
  configure,
  daemonPid,
  firstRunMs,
  freshTest,
  namesIn,
  type Need,
  needsRoot,
  refused,
  WatchedRun,
} from "../support/end_to_end.ts";
import type { Pace } from "../support/file_server.ts";
import { GpgHome } from "../support/gpg_home.ts";
import { MountNamespace } from "../support/mount_namespace.ts";
import { catalogTime, PublishedCatalog, sha256Of } from "../support/published_catalog.ts";

const needsGpg: Need = {
  met: await GpgHome.isPossible(),
  otherwise: "gpg or gpg-agent is not installed",
};
/** A name that the Debian archive has a kernel of, too. */
const debianKernel = "debian-6.1-cloud";

async function shown(banger: Banger, noun: "image" | "kernel", name: string) {
  return JSON.parse(await banger.ok([noun, "show", name, "--json"]))[noun];
}

/** Nothing was published, nothing is left. */
async function nothingIsHere(banger: Banger): Promise<void> {
  assert.equal(await banger.ok(["kernel", "list", "--json"]), '{\n  "kernels": []\n}\n');
  assert.equal(await banger.ok(["image", "list", "--json"]), '{\n  "images": []\n}\n');
  for (const dir of ["staging", "kernels", "images"]) {
    assert.deepEqual(await namesIn(`${banger.home}/.local/state/banger/${dir}`), [], dir);
  }
  assert.deepEqual(await namesIn(`${banger.home}/.cache/banger/downloads`), []);
}

/** Publishes a kernel too small to boot. */
async function publishTiny(
  at: PublishedCatalog,
  name: string,
  options: { readonly created?: number; readonly kernel?: Uint8Array } = {},
): Promise<void> {
  const kernel = `${at.dir}/kernel`;
  await Deno.writeFile(kernel, options.kernel ?? elfKernelFixture());
  const created = options.created ?? catalogTime;
  await at.publish("publish-kernel.sh", { name, version: "6.1.0-tiny", kernel, created });
}

freshTest(
  "kernel pull takes the catalog's bundle, says so, and keeps to newer ones",
  async (banger) => {
    await using at = await PublishedCatalog.make();
    await configure(banger, at.config());
    await publishTiny(at, "tiny", { created: catalogTime + 10 });
    const pulls = ["kernel", "pull", "tiny"];
    const both = await Promise.all([banger.run(pulls), banger.run(pulls)]);
    for (const { code, stderr } of both) {
      assert.equal(code, 0, stderr);
      assert.match(stderr, /tiny: pulling the bundle, the catalog has a bundle of it for x86_64\n/);
      assert.match(stderr, /==> Verifying the signature of tiny … done/);
    }
    assert.equal(at.bundlesAsked, 1);
    const first = await shown(banger, "kernel", "tiny");
    assert.equal(first.source, `catalog:${at.server.url}catalog.json`);
    assert.equal(first.sourceReason, "the catalog has a bundle of it for x86_64");
    assert.equal(first.format, "vmlinux");
    assert.equal(first.version, "6.1.0-tiny");
    assert.equal(first.publication.signer, at.ours);
    assert.equal(first.publication.madeAtMs, (catalogTime + 10) * 1000);
    assert.match(await banger.ok(["kernel", "list"]), /\ntiny +6\.1\.0-tiny +vmlinux /);
    const text = await banger.ok(["kernel", "show", "tiny"]);
    assert.match(text, new RegExp(`Signed by: +${at.ours}\n`));
    assert.match(text, /Source: +catalog:.*catalog\.json \(the catalog has a bundle of it/);

    const again = await banger.run([...pulls, "--refresh"]);
    // In either order: who begins to watch when a stage is over is told the notes first.
    assert.match(again.stderr, /^==> Looking for tiny in the catalog … done/m);
    assert.match(again.stderr, /^note: tiny: the catalog has nothing newer$/m);
    assert.match(again.stderr, /^Kernel "tiny" is here$/m);
    assert.equal(at.bundlesAsked, 1);

    // Whoever serves the catalog brings back an old one: well signed, and refused.
    await publishTiny(at, "tiny", { created: catalogTime, kernel: elfKernelFixture(8192) });
    await refused(
      banger,
      [...pulls, "--refresh"],
      1,
      /"tiny": member "banger-bundle.json": it was made at 2026-01-01T00:00:00.000Z, before /,
    );
    assert.deepEqual(await shown(banger, "kernel", "tiny"), first);

    const kernel = bzImageFixture(elfKernelFixture(4096));
    await publishTiny(at, "tiny", { created: catalogTime + 20, kernel });
    await banger.ok([...pulls, "--refresh"]);
    const second = await shown(banger, "kernel", "tiny");
    assert.equal(second.format, "bzImage");
    assert.notEqual(second.digest, first.digest);
    await banger.ok(["kernel", "delete", "tiny"]);
    await nothingIsHere(banger);
  },
  needsGpg,
);

/** What a server or a thief does to a bundle; what is said of it. */
const flaws: readonly (readonly [
  what: string,
  spoil: (at: PublishedCatalog, bundle: string) => Promise<void>,
  words: RegExp,
  code: number,
])[] = [
  [
    "signed by a key that is not pinned",
    async (at, bundle) =>
      await Deno.writeFile(`${bundle}.asc`, await at.gpg.sign(bundle, at.other)),
    /Cannot trust bundle "debian-6\.1-cloud": it is signed by key [0-9A-F]{16}, which is not pinned/,
    1,
  ],
  [
    "signed by two keys",
    async (at, bundle) =>
      await Deno.writeFile(`${bundle}.asc`, await at.gpg.sign(bundle, at.ours, at.other)),
    /"debian-6\.1-cloud": it has 2 signatures, exactly one is allowed/,
    1,
  ],
  [
    "not signed at all",
    async (_, bundle) => await Deno.remove(`${bundle}.asc`),
    /"debian-6\.1-cloud": the server has no signature of it/,
    1,
  ],
  [
    "signed as something else",
    async (at, bundle) =>
      await Deno.writeFile(`${bundle}.asc`, await at.gpg.sign(`${at.dir}/kernel`, at.ours)),
    /"debian-6\.1-cloud": its signature is not valid/,
    1,
  ],
  [
    "cut off",
    async (_, bundle) => await Deno.truncate(bundle, (await Deno.stat(bundle)).size >> 1),
    /debian-6\.1-cloud-.*\.bundle": it has \d+ bytes, \d+ were expected/,
    1,
  ],
  [
    "of another hash",
    async (_, bundle) => {
      const bytes = await Deno.readFile(bundle);
      bytes[bytes.length >> 1]! ^= 1;
      await Deno.writeFile(bundle, bytes);
    },
    /its SHA-256 is not the one in the catalog\n(.*\n)* {2}\| expected [0-9a-f]{64}\n {2}\| got {6}[0-9a-f]{64}/,
    1,
  ],
  [
    "of another hash, as the catalog says, too",
    async (at, bundle) => {
      const bytes = (await Deno.readFile(bundle)).slice(0, -7);
      await Deno.writeFile(bundle, bytes);
      const told = { size: bytes.length, sha256: sha256Of(bytes) };
      await at.change("kernel", debianKernel, told);
    },
    /"debian-6\.1-cloud": its signature is not valid/,
    1,
  ],
  [
    "a kernel of another name",
    async (at) => {
      await at.change("kernel", debianKernel, { name: "left" });
      await publishTiny(at, "other");
      await at.change("kernel", "other", { name: debianKernel });
    },
    /its name is "other", the catalog says "debian-6\.1-cloud"/,
    1,
  ],
  [
    "a kernel that is not a kernel",
    async (at) => {
      const file = `${at.dir}/script`;
      await Deno.writeTextFile(file, "#!/bin/sh\n".repeat(100));
      await at.publishRaw({ kind: "kernel", name: debianKernel }, { vmlinux: file });
    },
    /"debian-6\.1-cloud": member "vmlinux": it is not a kernel: it is not a 64-bit ELF file/,
    1,
  ],
  [
    "a boot image that holds no kernel",
    async (at) => {
      const file = `${at.dir}/bzImage`;
      await Deno.writeFile(file, bzImageFixture(new TextEncoder().encode("no kernel")));
      await at.publishRaw({ kind: "kernel", name: debianKernel }, { bzImage: file });
    },
    /member "bzImage": it is not a kernel: .*its payload is not an ELF file/,
    1,
  ],
  [
    "with modules that are none",
    async (at) => {
      const modules = `${at.dir}/modules`;
      await Deno.writeFile(modules, new Uint8Array(8192).fill(1));
      const kernel = `${at.dir}/kernel`;
      await at.publish("publish-kernel.sh", {
        name: debianKernel,
        version: "6.1.0",
        kernel,
        modules,
      });
    },
    /member "modules\.ext4": no initrd can be made of it: .*it is no ext4 file system/,
    1,
  ],
  [
    "of a catalog that is none",
    async (at) => await Deno.writeTextFile(`${at.served}/catalog.json`, '{"format": 1}'),
    /Cannot use catalog "http:.*": "entries": /,
    1,
  ],
  [
    "of a catalog that leads elsewhere",
    async (at) => await at.change("kernel", debianKernel, { url: "http://catalog.test/x" }),
    /entry "debian-6\.1-cloud" \(kernel, x86_64\): url: it must be an https address/,
    1,
  ],
];

freshTest(
  "a bundle that fails any check is an error, never a reason to take another source",
  async (banger) => {
    for (const [what, spoil, words, code] of flaws) {
      await using at = await PublishedCatalog.make();
      await configure(banger, `${at.config()}debian_mirror = "${at.server.url}debian"\n`);
      await publishTiny(at, debianKernel);
      await spoil(at, await at.bundle("kernel", debianKernel));
      const { stderr } = await refused(banger, ["kernel", "pull", debianKernel], code, words);
      assert.doesNotMatch(stderr, /Debian archive/, what);
      await nothingIsHere(banger);
      await banger.ok(["daemon", "stop"]);
      const asked = at.server.requests.filter((name) => name.startsWith("debian/"));
      assert.deepEqual(asked, [], what);
    }
  },
  needsGpg,
);

freshTest("without a pinned key no bundle is pulled", async (banger) => {
  await using at = await PublishedCatalog.make();
  await publishTiny(at, debianKernel);
  await configure(banger, `[catalog]\nurl = "${at.server.url}catalog.json"\n`);
  const words = /no signing key is pinned\n {2}hint: Set fingerprints and keyring/;
  await refused(banger, ["kernel", "pull", debianKernel], 5, words);
  await nothingIsHere(banger);
}, needsGpg);

freshTest("a catalog out of reach leaves the Debian archive, and says why", async (banger) => {
  await using at = await PublishedCatalog.make();
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  closed.close();
  await configure(banger, at.config(`http://127.0.0.1:${closed.addr.port}/catalog.json`));
  const { code, stderr } = await banger.run(["kernel", "pull", debianKernel], {
    timeoutMs: firstRunMs,
  });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /==> Looking for debian-6\.1-cloud in the catalog … done/);
  const reason = 'the catalog is out of reach (Cannot download "catalog.json": ';
  assert.ok(
    stderr.includes(`${debianKernel}: taking it from the Debian archive, ${reason}`),
    stderr,
  );
  const kernel = await shown(banger, "kernel", debianKernel);
  assert.equal(kernel.source, "debian-archive:bookworm");
  assert.ok(kernel.sourceReason.startsWith(reason));
  assert.equal(kernel.publication, null);
  await refused(
    banger,
    ["image", "pull", "tiny"],
    1,
    /Cannot pull image "tiny": the catalog is out of reach, and nothing else has it/,
  );
}, needsGpg);

/** Publishes an image of random bytes: what is downloaded is as large as what is written. */
async function publishRandom(at: PublishedCatalog, mib: number): Promise<void> {
  await publishTiny(at, "tiny");
  const rootfs = `${at.dir}/rootfs`;
  {
    using file = await Deno.open(rootfs, { write: true, create: true });
    const chunk = new Uint8Array(1 << 20);
    for (let n = 0; n < mib; n++) {
      for (let from = 0; from < chunk.length; from += 65_536) {
        crypto.getRandomValues(chunk.subarray(from, from + 65_536));
      }
      await file.write(chunk);
    }
  }
  const kernel = { kernel: `${at.dir}/kernel`, "kernel-name": "tiny", version: "6.1.0-tiny" };
  await at.publish("publish-golden-image.sh", { name: "random", rootfs, ...kernel });
}

/** A pace that stops a bundle at so many bytes until it is let go on. */
function holdAt(bytes: number) {
  const reached = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const pace: Pace = async (name, sent) => {
    if (!name.endsWith(".bundle") || sent < bytes) return;
    reached.resolve();
    await go.promise;
  };
  return { pace, reached: reached.promise, go: go.resolve };
}

freshTest("a pull that is stopped in the middle of its download leaves nothing", async (banger) => {
  const held = holdAt(2 << 20);
  await using at = await PublishedCatalog.make(held.pace);
  await publishRandom(at, 8);
  await configure(banger, at.config());
  const pulls = [1, 2].map(() => new WatchedRun(banger, ["image", "pull", "random"]));
  await held.reached;
  const [first, second] = pulls;
  // Another one waits for the same download, and goes on.
  first!.kill("SIGINT");
  assert.equal(await first!.end(), 130, first!.stderr);
  const staging = `${banger.home}/.local/state/banger/staging`;
  assert.equal((await namesIn(staging)).length, 2);
  second!.kill("SIGINT");
  assert.equal(await second!.end(), 130, second!.stderr);
  await nothingIsHere(banger);
  held.go();
  await banger.ok(["image", "pull", "random"]);
  assert.equal((await shown(banger, "image", "random")).kernel, "tiny");
  assert.deepEqual(await namesIn(staging), []);
}, needsGpg);

freshTest("what a killed daemon was pulling is gone at the next start", async (banger) => {
  const held = holdAt(2 << 20);
  await using at = await PublishedCatalog.make(held.pace);
  await publishRandom(at, 8);
  await configure(banger, at.config());
  const pull = new WatchedRun(banger, ["image", "pull", "random"]);
  await held.reached;
  Deno.kill(await daemonPid(banger), "SIGKILL");
  assert.notEqual(await pull.end(), 0);
  held.go();
  await nothingIsHere(banger);
}, needsGpg);

freshTest(
  "a disk that is too small, or fills up on the way: nothing is left",
  async ({ home }) => {
    const held = holdAt(10 << 20);
    await using at = await PublishedCatalog.make(held.pace);
    await publishRandom(at, 24);
    const mount = `mount -t tmpfs -o mode=0700,size=15m tmpfs ${home}`;
    await using namespace = await MountNamespace.make(mount);
    const banger = new Banger(home, { via: namespace.via });
    const config = `${home}/.config/banger`;
    const files = async (...dirs: string[]) =>
      await namespace.run(`cd ${home}/.local/state/banger; find ${dirs.join(" ")} -mindepth 1`);
    try {
      await namespace.run(
        `mkdir -p -m 700 ${config}; cat >${config}/config.toml <<'END'\n${at.config()}END`,
      );
      const pull = ["image", "pull", "random"];
      const small = /Cannot pull image "random": it needs about 2\d MiB free in ".*", only \d+ MiB/;
      await refused(banger, pull, 1, small);
      assert.equal(await files("staging", "images", "kernels"), "");
      assert.equal(at.bundlesAsked, 0);

      await namespace.run(`mount -o remount,size=80m ${home}`);
      const fills = refused(
        banger,
        pull,
        1,
        /Cannot pull image "random": the disk is full\n {2}hint/,
      );
      await held.reached;
      await namespace.run(`mount -o remount,size=16m ${home}`);
      held.go();
      await fills;
      assert.equal(await files("staging", "images", "kernels"), "");
      assert.match(await banger.ok(["image", "list", "--json"]), /"images": \[\]/);

      await namespace.run(`mount -o remount,size=80m ${home}`);
      await banger.ok(pull);
      assert.equal(await files("staging"), "");
    } finally {
      await banger.close();
    }
  },
  needsGpg,
  needsRoot,
);
