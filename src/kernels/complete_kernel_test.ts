import assert from "node:assert/strict";
import { moduleFixture } from "../../tests/support/deb_fixture.ts";
import { BangerError, isBangerError } from "../model/errors.ts";
import { run } from "../process/run.ts";
import { completeKernel } from "./complete_kernel.ts";

const signal = new AbortController().signal;

/** Runs `body` with a directory in which a static program stands for busybox. */
async function inDir(body: (dir: string, busyboxPath: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "banger-kernel-" });
  try {
    const busybox = new Uint8Array(64);
    busybox.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
    await Deno.mkdir(`${dir}/kernel`);
    await Deno.writeFile(`${dir}/busybox`, busybox);
    await body(`${dir}/kernel`, `${dir}/busybox`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Names and contents of an uncompressed cpio archive (newc). */
async function cpioFiles(path: string): Promise<Map<string, string>> {
  const bytes = await Deno.readFile(path);
  const text = new TextDecoder("latin1").decode(bytes);
  const files = new Map<string, string>();
  const padded = (at: number) => at + ((4 - (at % 4)) % 4);
  for (let at = 0;;) {
    const field = (index: number) =>
      parseInt(text.slice(at + 6 + index * 8, at + 14 + index * 8), 16);
    const name = text.slice(at + 110, at + 110 + field(11) - 1);
    if (name === "TRAILER!!!") return files;
    const start = padded(at + 110 + field(11));
    files.set(name, text.slice(start, start + field(6)));
    at = padded(start + field(6));
  }
}

Deno.test("a kernel with built-in drivers gets an initrd without modules, and one for the trial", () =>
  inDir(async (dir, busyboxPath) => {
    const made = await completeKernel(dir, { initrd: null, modules: null, busyboxPath, signal });
    assert.deepEqual(made, {
      initrd: "initrd.img",
      initrdIsOurs: true,
      probeInitrd: "probe-initrd.img",
    });
    const files = await cpioFiles(`${dir}/initrd.img`);
    assert.equal(files.get("modules/order"), "");
    assert.match(files.get("init") ?? "", /switch_root/);
    assert.deepEqual([...files.keys()].filter((name) => name.endsWith(".ko")), []);
    assert.match((await cpioFiles(`${dir}/probe-initrd.img`)).get("init") ?? "", /BANGER-KVM-OK/);
  }));

Deno.test("a kernel with a modules disk gets the drivers of it, in their order", () =>
  inDir(async (dir, busyboxPath) => {
    const tree = `${dir}/../tree`;
    await Deno.mkdir(`${tree}/kernel/fs`, { recursive: true });
    const modules: Readonly<Record<string, string>> = {
      ...{ virtio: "", virtio_mmio: "virtio", virtio_blk: "virtio", virtio_console: "virtio" },
      ...{ virtio_net: "virtio", "virtio-rng": "virtio", unneeded: "" },
    };
    for (const [name, depends] of Object.entries(modules)) {
      const module = moduleFixture([`depends=${depends}`]);
      await Deno.writeFile(`${tree}/kernel/fs/${name}.ko`, module);
    }
    await Deno.writeTextFile(`${tree}/modules.builtin`, "kernel/fs/ext4/ext4.ko\n");
    await run("mkfs.ext4", ["-q", "-F", "-d", tree, `${dir}/modules.ext4`, "2M"]);
    const given = { initrd: null, modules: "modules.ext4", busyboxPath, signal };
    assert.equal((await completeKernel(dir, given)).initrdIsOurs, true);
    const files = await cpioFiles(`${dir}/initrd.img`);
    assert.equal(
      files.get("modules/order"),
      ["virtio", "virtio_mmio", "virtio_blk", "virtio_console", "virtio_net", "virtio_rng"]
        .map((name) => `${name}.ko\n`).join(""),
    );
    assert.ok(!files.has("modules/unneeded.ko"));
  }));

Deno.test("an initrd that came with the kernel stays as it is, without busybox, too", () =>
  inDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/theirs.img`, "theirs");
    const given = { initrd: "theirs.img", modules: null, signal, busyboxPath: "/nonexistent" };
    const made = await completeKernel(dir, given);
    assert.deepEqual(made, { initrd: "theirs.img", initrdIsOurs: false, probeInitrd: null });
    assert.equal(await Deno.readTextFile(`${dir}/theirs.img`), "theirs");
    await assert.rejects(
      completeKernel(dir, { ...given, initrd: null }),
      (error) => isBangerError(error, "precondition") && /busybox-static/.test(error.hint ?? ""),
    );
  }));

Deno.test("a modules disk that is none, or lacks a driver, is refused by name", () =>
  inDir(async (dir, busyboxPath) => {
    const given = { initrd: null, modules: "modules.ext4", busyboxPath, signal };
    const refusal = (words: RegExp) => (error: unknown) => {
      assert.ok(error instanceof BangerError, String(error));
      assert.equal(error.kind, "untrusted");
      assert.match(error.message, words);
      return true;
    };
    await Deno.writeFile(`${dir}/modules.ext4`, new Uint8Array(8192));
    await assert.rejects(completeKernel(dir, given), refusal(/"modules.ext4": it is no ext4/));
    await run("mkfs.ext4", ["-q", "-F", `${dir}/modules.ext4`, "2M"]);
    await assert.rejects(completeKernel(dir, given), refusal(/"modules.ext4": not a module tree/));
  }));
