/** Pulls onto a disk that is too small or fills up: a small tmpfs over the home directory. */
import assert from "node:assert/strict";
import { run } from "../../src/process/run.ts";
import { Banger } from "../support/banger.ts";
import { firstRunMs, freshTest, needsRoot, refused, until } from "../support/end_to_end.ts";
import { layoutOf, writeLayout } from "../support/layout_fixture.ts";
import { MountNamespace } from "../support/mount_namespace.ts";
import { tarOf } from "../support/tar_fixture.ts";

/** Runs `body` with a tmpfs of `mib` MiB as the home directory; `resize` changes its size. */
async function onSmallDisk(
  { home }: Banger,
  mib: number,
  body: (
    banger: Banger,
    disk: { resize(mib: number): Promise<void>; files(): Promise<readonly string[]> },
  ) => Promise<void>,
): Promise<void> {
  const mount = `mount -t tmpfs -o mode=0700,size=${mib}m tmpfs ${home}`;
  await using namespace = await MountNamespace.make(mount);
  const banger = new Banger(home, { via: namespace.via });
  try {
    await body(banger, {
      resize: async (size) => void await namespace.run(`mount -o remount,size=${size}m ${home}`),
      files: async () => {
        const found = await namespace.run(
          `cd ${home}; find .local/state/banger/staging .local/state/banger/kernels ` +
            ".local/state/banger/images .cache/banger/downloads -mindepth 1 -printf '%p\\n'",
        );
        return found.split("\n").filter((path) => path !== "");
      },
    });
  } finally {
    await banger.close();
  }
}

freshTest(
  "kernel and image pulls say where and how much space is missing, and leave nothing",
  (fresh) =>
    onSmallDisk(fresh, 60, async (banger, disk) => {
      const where = `in "${banger.home}/.local/state/banger/staging/`;
      for (
        const [args, need] of [
          [["kernel", "pull", "debian-6.1-cloud"], "400 MiB"],
          [["image", "pull", "debian-bookworm"], String.raw`[\d.]+ [GM]iB`],
        ] as const
      ) {
        const words = new RegExp(
          `about ${need} free ${where}[^"]+", only \\d+ MiB are free\n  hint: `,
        );
        await refused(banger, args, 1, words);
        assert.deepEqual(await disk.files(), []);
        assert.match(await banger.ok([args[0], "list"]), /^(There are no|NAME)/);
      }

      await disk.resize(1_000);
      await banger.ok(["kernel", "pull", "debian-6.1-cloud"], { timeoutMs: firstRunMs });
      assert.match(await banger.ok(["kernel", "list"]), /\ndebian-6\.1-cloud /);
    }),
  needsRoot,
);

freshTest(
  "a disk that fills up while a kernel is pulled: nothing is left of it",
  (fresh) =>
    onSmallDisk(fresh, 500, async (banger, disk) => {
      const pull = refused(
        banger,
        ["kernel", "pull", "debian-6.1-cloud"],
        1,
        /Cannot .*(the disk is full|the disk filled up)\n {2}hint: Free some space .*\d+ MiB/,
      );
      // The room that it counted on is gone as soon as it has begun.
      await until("the download has begun", async () => {
        return (await disk.files().catch(() => [])).some((path) => /downloads\//.test(path));
      });
      await disk.resize(70);
      await pull;
      assert.deepEqual((await disk.files()).filter((path) => !/\.deb$/.test(path)), []);
      assert.doesNotMatch(await banger.ok(["kernel", "list", "--json"]), /debian-6\.1-cloud/);
    }),
  needsRoot,
);

freshTest(
  "images of the user's files say how much space is missing, and leave nothing",
  async (fresh) => {
    const dir = await Deno.makeTempDir({ prefix: "banger-disk-full-" });
    try {
      const noise = new Uint8Array(90 * 1024 ** 2);
      for (let at = 0; at < noise.length; at += 65_536) {
        crypto.getRandomValues(noise.subarray(at, at + 65_536));
      }
      await writeLayout(
        `${dir}/layout`,
        layoutOf({ "": [tarOf([{ name: "n", content: noise }])] }),
      );
      await run("mkfs.ext4", ["-q", "-F", `${dir}/disk`, "100M"], { timeoutMs: 60_000 });
      using file = await Deno.open(`${dir}/disk`, { write: true });
      await file.seek(5 * 1024 ** 2, Deno.SeekMode.Start);
      for (let at = 0; at < noise.length;) at += await file.write(noise.subarray(at));
      await onSmallDisk(fresh, 60, async (banger, disk) => {
        await banger.ok(["image", "register", "mine", "--rootfs", `${dir}/disk`]);
        const missing = /needs about \d+ MiB free in "[^"]+", only \d+ MiB are free\n {2}hint: /;
        await refused(banger, ["image", "promote", "mine"], 1, missing);
        await refused(banger, ["image", "pull", `oci:${dir}/layout`], 1, missing);
        assert.deepEqual(await disk.files(), []);
        await disk.resize(400);
        await banger.ok(["image", "promote", "mine"]);
        await banger.ok(["image", "pull", `oci:${dir}/layout`]);
        assert.equal(JSON.parse(await banger.ok(["image", "list", "--json"])).images.length, 2);
      });
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
  needsRoot,
);
