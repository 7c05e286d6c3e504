/** Bundles that say what a home directory begins with: published, pulled, refused, and used by VMs. */
import assert from "node:assert/strict";
import type { Banger } from "../support/banger.ts";
import { debianKernelDir, smallRootfs } from "../support/bundled_guest.ts";
import { firstRunMs, refused, vmTest, withConfiguration } from "../support/end_to_end.ts";
import { GpgHome } from "../support/gpg_home.ts";
import { type FixtureEntry, tarOf } from "../support/layer_fixture.ts";
import { catalogTime, PublishedCatalog } from "../support/published_catalog.ts";
import { skipUnless } from "../support/require.ts";

const name = "seeded";

/** Publishes a small image that boots with the cached kernel, newer than the `turn` before. */
async function publish(
  at: PublishedCatalog,
  kernel: { readonly dir: string; readonly version: string },
  turn: number,
  entries: readonly FixtureEntry[],
): Promise<void> {
  await Deno.writeFile(`${at.dir}/seed-${turn}.tar`, tarOf(entries));
  await at.publish("publish-golden-image.sh", {
    ...{ name, rootfs: `${at.dir}/rootfs`, kernel: `${kernel.dir}/vmlinuz` },
    ...{ "kernel-name": "seeded-kernel", version: kernel.version, created: catalogTime + turn },
    ...{ modules: `${kernel.dir}/modules.ext4`, "work-seed": `${at.dir}/seed-${turn}.tar` },
  });
}

function seed(text: string): FixtureEntry[] {
  return [
    { name: "./", mode: 0o750, uid: 7, gid: 8 },
    { name: "./note", content: text, mode: 0o600, uid: 1000, gid: 100 },
    { name: "./bin/", mode: 0o755 },
    { name: "./bin/here", flag: "2", link: "../note" },
  ];
}

async function inVm(banger: Banger, vm: string, script: string): Promise<string> {
  return await banger.ok(["vm", "exec", vm, "--", "sh", "-c", script], { timeoutMs: firstRunMs });
}

const title = "new VMs begin with the seed of their image, and keep what they have";
if (!skipUnless(title, await GpgHome.isPossible(), "gpg or gpg-agent is not installed")) {
  vmTest(title, async (cached) => {
    await using at = await PublishedCatalog.make();
    const dir = await debianKernelDir(cached);
    const { kernel } = JSON.parse(
      await cached.ok(["kernel", "show", "debian-6.1-cloud", "--json"]),
    );
    await cached.ok(["daemon", "stop"]);
    await smallRootfs(`${at.dir}/rootfs`);
    const from = { dir, version: kernel.version };
    await publish(at, from, 0, seed("one"));
    await withConfiguration(cached, at.config(), async (banger) => {
      const ok = (...args: string[]) => banger.ok(args, { timeoutMs: firstRunMs });
      const create = ["vm", "create", "--image", name, "--cpus", "1", "--memory", "512M"];
      try {
        await ok(...create, "--name", "first", "--start");
        const busybox = "/.banger/bin/busybox";
        const facts = `cat ~/bin/here; cd /root; ${busybox} stat -c '%a %u:%g' . note bin; ` +
          `${busybox} df -m /root | ${busybox} tail -n 1`;
        const said = await inVm(banger, "first", facts);
        assert.match(said, /^one750 0:0\n600 1000:100\n755 0:0\n/);
        const mib = Number(/ (\d+) +\d+ +\d+ +\d+% /.exec(said)?.[1]);
        assert.ok(mib > 7_900 && mib <= 8_192, said);
        assert.match(await ok("image", "show", name), /\nWork seed: +sha256:[0-9a-f]{64}\n/);
        await refused(
          banger,
          [...create, "--work-disk", "64M"],
          2,
          /the seed of image "seeded" needs/,
        );

        await publish(at, from, 10, seed("two"));
        await ok("image", "pull", name, "--refresh");
        await ok(...create, "--name", "second", "--start");
        assert.equal(await inVm(banger, "second", "cat ~/note"), "two");
        // What a VM has is its own, also when the image is the newer one.
        await ok("vm", "reset", "--force", "--image", name, "first");
        await ok("vm", "start", "first");
        assert.equal(await inVm(banger, "first", "cat ~/note"), "one");

        await publish(at, from, 20, [...seed("three"), { name: "../../escape", content: "x" }]);
        await refused(
          banger,
          ["image", "pull", name, "--refresh"],
          1,
          /"seeded": member "work-seed\.tar": no work disk can be made of it: .*escape/,
        );
        assert.match(await ok("image", "prune", "--json", "--dry-run"), /"removed"/);
        await ok(...create, "--name", "third", "--start");
        assert.equal(await inVm(banger, "third", "cat ~/note"), "two");
      } finally {
        for (const vm of ["first", "second", "third"]) {
          await banger.run(["vm", "delete", "--force", vm]);
        }
        await banger.run(["image", "delete", name]);
        await banger.run(["kernel", "delete", "seeded-kernel"]);
      }
    });
  });
}
