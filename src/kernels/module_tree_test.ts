import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { moduleFixture } from "../../tests/support/deb_fixture.ts";
import { BangerError, isBangerError } from "../model/errors.ts";
import { run } from "../process/run.ts";
import { writeModuleDependencies } from "./module_dependencies.ts";
import type { ModuleSource } from "./module_source.ts";
import { ModuleTree } from "./module_tree.ts";

async function withTree(
  modules: Readonly<Record<string, string>>,
  check: (tree: ModuleTree, root: string) => Promise<void>,
  pack: (root: string) => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "banger-modules-test-" });
  try {
    await Deno.mkdir(`${root}/kernel/net`, { recursive: true });
    await Deno.writeTextFile(`${root}/modules.builtin`, "kernel/fs/ext4/ext4.ko\n");
    for (const [name, info] of Object.entries(modules)) {
      await Deno.writeFile(`${root}/kernel/net/${name}.ko`, moduleFixture(info.split(";")));
    }
    await pack(`${root}/kernel/net`);
    await check(await ModuleTree.open(root), root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("modules come after everything they need, once, without what is built in", async () => {
  const modules = {
    "virtio_ring": "depends=",
    "virtio": "depends=virtio_ring",
    "virtio-rng": "depends=virtio_ring,virtio,ext4",
    "virtio_net": "depends=virtio;softdep=pre: virtio-rng absent",
  };
  await withTree(modules, async (tree) => {
    const names = async (wanted: string[], optional: string[] = []) =>
      (await tree.loadOrder(wanted, new Set(optional))).map((file) => file.name);
    assert.deepEqual(await names(["ext4", "virtio_net", "virtio-rng"]), [
      "virtio_ring",
      "virtio",
      "virtio_rng",
      "virtio_net",
    ]);
    assert.deepEqual(await names(["vsock"], ["vsock"]), []);
    await assert.rejects(() => names(["vsock"]), /this kernel has no such module \(vsock\)/);
  });
});

Deno.test("modules that need each other are refused", async () => {
  await withTree({ a: "depends=b", b: "depends=a" }, async (tree) => {
    await assert.rejects(() => tree.loadOrder(["a"]), (error) => {
      assert.ok(error instanceof BangerError);
      assert.match(error.message, /modules need each other \(a -> b -> a\)/);
      return true;
    });
  });
});

Deno.test("a directory that is no module tree is refused", async () => {
  await assert.rejects(() => ModuleTree.open("/nonexistent"), /not a module tree/);
});

Deno.test("modprobe's files name dependencies, aliases, soft dependencies and devices", async () => {
  const modules = {
    a: "depends=",
    b: "depends=a",
    "c-d":
      "depends=b;alias=fs-x[a-z];alias=char-major-10-200;alias=devname:net/tun;softdep=pre: y-z",
  };
  await withTree(modules, async (tree, root) => {
    await writeModuleDependencies(root, tree);
    const read = (name: string) => Deno.readTextFile(`${root}/${name}`);
    assert.equal(
      await read("modules.dep"),
      "kernel/net/a.ko:\nkernel/net/b.ko: kernel/net/a.ko\n" +
        "kernel/net/c-d.ko: kernel/net/b.ko kernel/net/a.ko\n",
    );
    assert.match(await read("modules.alias"), /^alias fs_x\[a-z\] c_d\n/);
    assert.equal(await read("modules.softdep"), "softdep c_d pre: y-z\n");
    assert.equal(await read("modules.devname"), "c_d net/tun c10:200\n");
    const index = await Deno.readFile(`${root}/modules.dep.bin`);
    assert.deepEqual([...index.subarray(0, 8)], [0xb0, 0x07, 0xf4, 0x57, 0, 2, 0, 1]);
  });
});

Deno.test("compressed modules are read as plain ones, and listed under their own paths", async () => {
  const modules = { a: "depends=", b: "depends=a;alias=x", "c-d": "depends=b", e: "depends=c-d" };
  await withTree(
    modules,
    async (tree, root) => {
      assert.deepEqual(
        (await tree.loadOrder(["e"])).map(({ path }) => path),
        ["a.ko.gz", "b.ko.xz", "c-d.ko.zst", "e.ko"].map((name) => `kernel/net/${name}`),
      );
      assert.deepEqual(
        await tree.read(tree.files.get("b")!),
        moduleFixture(["depends=a", "alias=x"]),
      );
      await Deno.writeTextFile(`${root}/modules.order`, "kernel/net/c-d.ko\nkernel/net/b.ko\n");
      await writeModuleDependencies(root, tree);
      assert.match(
        await Deno.readTextFile(`${root}/modules.dep`),
        /^kernel\/net\/c-d\.ko\.zst: kernel\/net\/b\.ko\.xz kernel\/net\/a\.ko\.gz\nkernel\/net\/b\.ko\.xz:/,
      );
    },
    async (dir) => {
      await run("gzip", [`${dir}/a.ko`]);
      await run("xz", [`${dir}/b.ko`]);
      await run("zstd", ["-q", "--rm", `${dir}/c-d.ko`]);
    },
  );
});

Deno.test("a tree whose modules unpack to too much, or of which one is damaged, is refused", async () => {
  const source = (content: Uint8Array, count: number): ModuleSource => ({
    name: "x",
    list: async function* () {
      for (let at = 0; at < count; at++) yield await Promise.resolve(`kernel/m${at}.ko.gz`);
    },
    read: (path) => Promise.resolve(path === "modules.builtin" ? new Uint8Array() : content),
  });
  const large = gzipSync(new Uint8Array(1024 ** 2));
  const tree = await ModuleTree.open(source(large, 20), { unpackedBytes: 9.5 * 1024 ** 2 });
  await assert.rejects(
    async () => {
      for (const file of tree.files.values()) await tree.read(file);
    },
    (error) =>
      isBangerError(error, "untrusted") &&
      /"kernel\/m9\.ko\.gz": it becomes more than 524288 bytes/.test(error.message),
  );
  const cut = await ModuleTree.open(source(large.subarray(0, 500), 1));
  await assert.rejects(
    cut.loadOrder(["m0"]),
    (error) =>
      isBangerError(error, "untrusted") &&
      error.message === 'Cannot unpack module "kernel/m0.ko.gz": it is damaged or no gzip file',
  );
  const stopped = await ModuleTree.open(source(large, 1), {
    signal: AbortSignal.abort(new Error("stop")),
  });
  await assert.rejects(stopped.loadOrder(["m0"]), /stop/);
});
