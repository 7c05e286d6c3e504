/** A VM of a catalog's image: kernel and guest kit come in its bundle. */
import assert from "node:assert/strict";
import { type Banger, withBanger } from "../support/banger.ts";
import { compressedModules, debianKernelDir, smallRootfs } from "../support/bundled_guest.ts";
import { configure, firstRunMs, vmTest, withConfiguration } from "../support/end_to_end.ts";
import { PublishedCatalog } from "../support/published_catalog.ts";

/** A name that the Debian archive has a kernel of, too. */
const debianKernel = "debian-6.1-cloud";

async function shown(banger: Banger, noun: "image" | "kernel", name: string) {
  return JSON.parse(await banger.ok([noun, "show", name, "--json"]))[noun];
}

/** The guest kit that this banger builds for its VMs. */
async function kitOf(banger: Banger): Promise<string> {
  await banger.ok(["vm", "create", "--name", "kit"], { timeoutMs: firstRunMs });
  await banger.ok(["vm", "delete", "kit"]);
  const dir = `${banger.home}/.local/state/banger/kits`;
  return `${dir}/${JSON.parse(await Deno.readTextFile(`${dir}/current.json`)).file}`;
}

vmTest(
  "vm run pulls an image's bundle on a miss and boots it with the kernel in it",
  async (cached) => {
    await using at = await PublishedCatalog.make();
    const kernel = await debianKernelDir(cached);
    const version = (await shown(cached, "kernel", debianKernel)).version;
    const kit = await kitOf(cached);
    await cached.ok(["daemon", "stop"]);
    await smallRootfs(`${at.dir}/rootfs`);
    await compressedModules(`${kernel}/modules.ext4`, `${at.dir}/modules`);
    await at.publish("publish-golden-image.sh", {
      ...{ name: "bundled", rootfs: `${at.dir}/rootfs`, kernel: `${kernel}/vmlinuz` },
      ...{ "kernel-name": "bundled-kernel", version, "command-line": "published=yes" },
      // Its drivers are modules, and compressed: the initrd is made here.
      modules: `${at.dir}/modules`,
      kit,
    });
    // Where nothing is built and no mirror answers, its kit is in the bundle, too.
    await withBanger(async (bare) => {
      await configure(bare, `${at.config()}debian_mirror = "http://127.0.0.1:9/debian/"\n`);
      const motd = ["vm", "run", "--rm", "--no-workspace", "--image", "bundled", "--", "cat"];
      const run = await bare.run([...motd, "/etc/motd"], { timeoutMs: firstRunMs });
      assert.deepEqual([run.code, run.stdout], [0, "it came in a bundle\n"], run.stderr);
      assert.doesNotMatch(run.stderr, /Building the guest kit … done/);
    });
    const asked = at.bundlesAsked;
    await withConfiguration(cached, at.config(), async (banger) => {
      try {
        const args = ["vm", "run", "--rm", "--no-workspace", "--image", "bundled", "--"];
        const script = "uname -r; cat /etc/motd; cat /proc/cmdline";
        const first = await banger.run([...args, "sh", "-c", script], { timeoutMs: firstRunMs });
        assert.equal(first.code, 0, first.stderr);
        assert.match(
          first.stdout,
          new RegExp(`^${version}\nit came in a bundle\n.* published=yes\n$`),
        );
        assert.match(first.stderr, /bundled: pulling the bundle, the catalog has a bundle of it/);
        assert.equal(at.bundlesAsked, asked + 1);

        const image = await shown(banger, "image", "bundled");
        assert.equal(image.source, `catalog:${at.server.url}catalog.json`);
        assert.equal(image.sourceReason, "the catalog has a bundle of it for x86_64");
        assert.equal(image.kernel, "bundled-kernel");
        assert.equal(image.publication.signer, at.ours);
        const own = await shown(banger, "kernel", "bundled-kernel");
        assert.equal(own.format, "bzImage");
        assert.equal(own.version, version);
        assert.match(own.sourceReason, /^it came with image bundled: the catalog has a bundle/);
        assert.deepEqual(own.publication, image.publication);

        // A kernel that only comes with the image is brought with it again.
        await banger.ok(["kernel", "delete", "bundled-kernel"]);
        await banger.ok([...args, "uname"], { timeoutMs: firstRunMs });
        assert.equal(at.bundlesAsked, asked + 2);
      } finally {
        // The cached home is the next test's.
        await banger.run(["image", "delete", "bundled"]);
        await banger.run(["kernel", "delete", "bundled-kernel"]);
      }
    });
  },
);
