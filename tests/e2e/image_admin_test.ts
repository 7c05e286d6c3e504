/** Registered and promoted images, what images take, and pruning, through the built program. */
import assert from "node:assert/strict";
import { run } from "../../src/process/run.ts";
import { Banger } from "../support/banger.ts";
import {
  firstRunMs,
  freshTest,
  namesIn,
  needsRoot,
  refused,
  stateDirOf,
  until,
  vmTest,
  WatchedRun,
} from "../support/end_to_end.ts";
import { layoutOf, writeLayout } from "../support/layout_fixture.ts";
import { busyboxTree } from "../support/local_images.ts";
import { tarOf } from "../support/tar_fixture.ts";

const builtProgram = new URL("../../build/bin/banger", import.meta.url).pathname;

async function withDir(act: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-image-admin-" });
  try {
    await act(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** A file with an ext4 file system, of a tree or empty. */
async function mkfs(path: string, size: string, tree?: string): Promise<void> {
  const from = tree === undefined ? [] : ["-d", tree];
  await run("mkfs.ext4", ["-q", "-F", ...from, path, size], { timeoutMs: 60_000 });
}

async function sumOf(path: string): Promise<string> {
  const { stdout } = await run("sha256sum", ["--", path], { timeoutMs: 60_000 });
  return new TextDecoder().decode(stdout).slice(0, 64);
}

async function imagesOf(banger: Banger) {
  return JSON.parse(await banger.ok(["image", "list", "--json"])).images as {
    name: string;
    diskBytes: number;
    blobBytes: number;
    sharedBytes: number;
    managed: boolean;
    rootfsPath: string;
    digest: string;
  }[];
}

/** What a prune would remove, or has removed: kinds and names. */
async function pruned(banger: Banger, ...words: string[]): Promise<string[]> {
  const { removed } = JSON.parse(await banger.ok(["image", "prune", "--json", ...words]));
  return removed.map(({ kind, name }: { kind: string; name: string }) => `${kind} ${name}`).sort();
}

vmTest("a registered file boots VMs, is never written, and must stay as it was", async (banger) => {
  await withDir(async (dir) => {
    const disk = `${dir}/disk.ext4`;
    await mkfs(disk, "64M", await busyboxTree(dir));
    const before = await sumOf(disk);
    const { mtime } = await Deno.stat(disk);
    const back = () => Deno.utime(disk, mtime!, mtime!);
    const shell = (
      ...words: string[]
    ) => ["vm", "run", "--no-workspace", ...words, "--", "sh", "-c"];
    const long = { timeoutMs: firstRunMs, cwd: dir };
    try {
      await banger.ok(["image", "register", "mine", "--rootfs", "disk.ext4"], long);
      // Its guest is killed further down: what is not on its disk by then is lost.
      const write = "echo mark >/srv/mark; busybox sync; cat /etc/passwd /srv/mark";
      const said = await banger.ok(
        [...shell("--name", "registered", "--image", "mine"), write],
        long,
      );
      assert.match(said, /^root:x:0:0.*\napp:(?:.*\n)+mark\n$/);
      // While one runs, another one starts of the same file and sees nothing of the first.
      const other = await banger.ok(
        [...shell("--rm", "--image", "mine"), "ls /srv; echo end"],
        long,
      );
      assert.equal(other, "end\n");
      assert.equal(await sumOf(disk), before, "no VM has written to it");
      await refused(
        banger,
        ["image", "delete", "mine"],
        4,
        /Cannot delete image "mine": VM registered uses it/,
      );
      const unused = await pruned(banger, "--all", "--dry-run");
      assert.ok(!unused.includes("image mine"), unused.join());

      await banger.ok(["vm", "stop", "--force", "registered"], long);
      const words = /Cannot use image "mine": ".*disk\.ext4" has changed since it was registered/;
      await Deno.utime(disk, new Date(), new Date(1_700_000_000_000));
      await refused(banger, ["vm", "start", "registered"], 5, words);
      await refused(banger, [...shell("--image", "mine"), "true"], 125, words);
      await Deno.rename(disk, `${disk}.away`);
      const gone = /Cannot use image "mine": ".*disk\.ext4" is gone/;
      await refused(banger, ["vm", "start", "registered"], 5, gone);
      await Deno.writeTextFile(disk, "something else");
      await refused(banger, ["vm", "start", "registered"], 5, words);
      await Deno.rename(`${disk}.away`, disk);
      await back();
      await banger.ok(["vm", "start", "registered"], long);
      assert.equal(
        await banger.ok(["vm", "exec", "registered", "--", "cat", "/srv/mark"], long),
        "mark\n",
      );

      // A copy of banger's own: new VMs need the file no more, the one of before does.
      await banger.ok(["image", "promote", "mine"], long);
      const [image] = (await imagesOf(banger)).filter(({ name }) => name === "mine");
      assert.equal(image?.managed, true);
      assert.equal(image?.digest, `sha256:${before}`);
      assert.ok(image!.diskBytes < 16 * 1024 ** 2, "its holes are kept");
      await banger.ok(["vm", "stop", "--force", "registered"], long);
      await Deno.rename(disk, `${disk}.away`);
      const copy = await banger.ok(
        [...shell("--rm", "--image", "mine"), "cat /etc/passwd"],
        long,
      );
      assert.match(copy, /^root:x:0:0/);
      await refused(banger, ["vm", "start", "registered"], 5, gone);
      await banger.ok(["vm", "delete", "registered"], long);
      await banger.ok(["image", "delete", "mine"]);
      await assert.rejects(Deno.stat(image!.rootfsPath), Deno.errors.NotFound);
      assert.ok((await Deno.stat(`${disk}.away`)).isFile, "the user's own file stays");
    } finally {
      // The cached home is the next test's.
      await banger.run(["vm", "delete", "--force", "registered"]);
      await banger.run(["image", "delete", "mine"]);
    }
  });
});

freshTest("what cannot be registered is refused, with what it is", async (banger) => {
  await withDir(async (dir) => {
    const disk = `${dir}/disk.ext4`;
    await mkfs(disk, "8M");
    await mkfs(`${dir}/cut`, "8M");
    await Deno.truncate(`${dir}/cut`, 5 * 1024 ** 2);
    await run("mkfifo", [`${dir}/fifo`]);
    await Deno.writeFile(
      `${dir}/image.qcow2`,
      Uint8Array.from([0x51, 0x46, 0x49, 0xfb, ...new Array(4092).fill(0)]),
    );
    const rows: [string, number, RegExp][] = [
      [`${dir}/none`, 3, /there is no such file/],
      [dir, 2, /it is no regular file/],
      ["/dev/zero", 2, /it is no regular file/],
      [`${dir}/fifo`, 2, /it is no regular file/],
      ["/etc/passwd", 2, /it has no ext4 file system/],
      [`${dir}/image.qcow2`, 2, /it is a qcow2 image\n {2}hint: Convert it: qemu-img convert/],
      [`${dir}/cut`, 2, /it is cut off: its file system has 8388608 bytes, the file 5242880/],
    ];
    for (const [path, code, words] of rows) {
      await refused(banger, ["image", "register", "x", "--rootfs", path], code, words);
    }
    const register = (...words: string[]) => ["image", "register", ...words];
    await refused(banger, register("x"), 2, /no file is named/);
    await refused(banger, register("../x", "--rootfs", disk), 2, /not allowed/);
    await refused(banger, register("debian-bookworm", "--rootfs", disk), 4, /builds an image/);
    const kernel = ["--kernel", "debian-6.1-clod"];
    await refused(banger, register("x", "--rootfs", disk, ...kernel), 3, /debian-6\.1-cloud/);
    assert.deepEqual(await imagesOf(banger), []);
    await banger.ok(register("x", "--rootfs", disk));
    await Deno.copyFile(disk, `${disk}.2`);
    await refused(banger, register("x", "--rootfs", `${disk}.2`), 4, /that image came from file:/);
    await refused(banger, ["image", "promote", "y"], 3, /Cannot promote image "y": there is none/);
  });
});

freshTest("files that the user may not read are not read by the daemon either", async (root) => {
  const uid = 54_321;
  await withDir(async (dir) => {
    const home = `${dir}/home`;
    await Deno.mkdir(home, { mode: 0o700 });
    await Deno.chmod(dir, 0o755);
    await Deno.chown(home, uid, uid);
    await Deno.copyFile(builtProgram, `${dir}/banger`);
    const banger = new Banger(home, {
      program: `${dir}/banger`,
      via: ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--"],
      env: { BANGER_RUNTIME_DIR: `${home}/.cache/banger/runtime` },
    });
    try {
      await mkfs(`${dir}/disk.ext4`, "8M");
      await writeLayout(`${dir}/layout`, layoutOf({ "": [tarOf([{ name: "x", content: "x" }])] }));
      await Deno.writeFile(`${dir}/app.tar`, tarOf([{ name: "x", content: "x" }]));
      for (const name of ["disk.ext4", "app.tar", "layout/index.json"]) {
        await Deno.chmod(`${dir}/${name}`, 0o600);
      }
      const register = ["image", "register", "x", "--rootfs", `${dir}/disk.ext4`];
      await refused(banger, register, 5, /it may not be read/);
      const pull = (source: string) => ["image", "pull", source];
      await refused(banger, pull(`docker-archive:${dir}/app.tar`), 5, /you may not read it/);
      await refused(banger, pull(`oci:${dir}/layout`), 5, /you may not read it/);
      // What the user may read is taken, as the user.
      await Deno.chmod(`${dir}/disk.ext4`, 0o644);
      await banger.ok(register);
      await banger.ok(["image", "promote", "x"]);
      await Deno.chmod(`${dir}/layout/index.json`, 0o644);
      await banger.ok(["image", "pull", `oci:${dir}/layout`]);
      assert.deepEqual((await imagesOf(banger)).map(({ name }) => name), ["layout", "x"]);
    } finally {
      await banger.close();
      await Deno.remove(`/tmp/banger-${uid}`, { recursive: true }).catch(() => {});
    }
  });
  assert.deepEqual(await imagesOf(root), []);
}, needsRoot);

freshTest("a promotion is stopped by Ctrl-C, and leaves nothing", async (banger) => {
  await withDir(async (dir) => {
    const disk = `${dir}/disk.ext4`;
    await mkfs(disk, "2G");
    await banger.ok(["image", "register", "mine", "--rootfs", disk]);
    const staging = `${await stateDirOf(banger)}/staging`;
    const promotion = new WatchedRun(banger, ["image", "promote", "mine"]);
    await until("the copy is begun", async () => (await namesIn(staging)).length > 0);
    promotion.kill("SIGINT");
    assert.equal(await promotion.end(), 130, promotion.stderr);
    assert.deepEqual(await namesIn(staging), []);
    assert.equal((await imagesOf(banger))[0]?.managed, false);
    await banger.ok(["image", "promote", "mine"]);
    const [image] = await imagesOf(banger);
    assert.ok(image!.managed && image!.diskBytes < 64 * 1024 ** 2, "2 GiB of holes stay holes");
    assert.equal(image!.digest, `sha256:${await sumOf(disk)}`);
  });
});

freshTest(
  "images are told with what they take and share, and pruned with what nothing needs",
  async (banger) => {
    await withDir(async (dir) => {
      const layer = (text: string) => tarOf([{ name: "x", content: text.repeat(100_000) }]);
      const pull = (...words: string[]) => banger.ok(["image", "pull", `oci:${dir}/app`, ...words]);
      await writeLayout(`${dir}/app`, layoutOf({ "": [layer("one")] }));
      await pull();
      await pull("--name", "again");
      const [again, app] = await imagesOf(banger);
      const { blocks } = await Deno.stat(app!.rootfsPath);
      assert.deepEqual([app!.diskBytes, again!.diskBytes], [blocks! * 512, blocks! * 512]);
      assert.equal(app!.sharedBytes, blocks! * 512, "both names are one file");
      await banger.ok(["image", "delete", "again"]);
      assert.equal((await imagesOf(banger))[0]!.sharedBytes, 0);

      // A newer version, a download that broke off, and a directory that nothing knows.
      await writeLayout(`${dir}/app`, layoutOf({ "": [layer("two")] }));
      await pull("--refresh");
      const state = await stateDirOf(banger);
      const blobs = `${banger.home}/.cache/banger/blobs/sha256`;
      await Deno.writeFile(`${blobs}/${"c".repeat(64)}.part`, new Uint8Array(70_000));
      await Deno.mkdir(`${state}/images/${"d".repeat(32)}`);
      const expected = ["blobs 1", "image app", `leftover ${"d".repeat(32)}`];
      await refused(banger, ["image", "prune"], 2, /there is no terminal\n {2}hint: Give --force/);
      assert.deepEqual(await pruned(banger, "--dry-run"), expected);
      assert.equal((await namesIn(`${state}/images`)).length, 3, "a dry run removes nothing");
      assert.deepEqual(await pruned(banger, "--force"), expected);
      assert.equal((await namesIn(`${state}/images`)).length, 1);
      assert.deepEqual(await namesIn(blobs), []);
      assert.deepEqual(await pruned(banger, "--force"), []);

      const disk = `${dir}/disk.ext4`;
      await mkfs(disk, "8M");
      await banger.ok(["image", "register", "mine", "--rootfs", disk]);
      assert.deepEqual(await pruned(banger, "--all", "--force"), ["image app", "image mine"]);
      assert.deepEqual(await imagesOf(banger), []);
      assert.deepEqual(await namesIn(`${state}/images`), []);
      assert.ok((await Deno.stat(disk)).isFile, "the user's own file stays");
    });
  },
);
