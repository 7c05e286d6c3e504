import assert from "node:assert/strict";
import { moduleFixture } from "../../tests/support/deb_fixture.ts";
import { BangerError } from "../model/errors.ts";
import { writeModuleDependencies } from "./module_dependencies.ts";
import { ModuleTree } from "./module_tree.ts";

async function withTree(
  modules: Readonly<Record<string, string>>,
  check: (tree: ModuleTree, root: string) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "banger-modules-test-" });
  try {
    await Deno.mkdir(`${root}/kernel/net`, { recursive: true });
    await Deno.writeTextFile(`${root}/modules.builtin`, "kernel/fs/ext4/ext4.ko\n");
    for (const [name, info] of Object.entries(modules)) {
      await Deno.writeFile(`${root}/kernel/net/${name}.ko`, moduleFixture(info.split(";")));
    }
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
