import assert from "node:assert/strict";
import { run } from "../../src/process/run.ts";
import type { Banger } from "./banger.ts";
import { firstRunMs, namesIn } from "./end_to_end.ts";

/** A kernel of the Debian archive, to be published in a bundle. */
const debianKernel = "debian-6.1-cloud";

/** A root file system of busybox and a greeting. */
export async function smallRootfs(path: string): Promise<void> {
  const tree = await Deno.makeTempDir({ prefix: "banger-rootfs-" });
  try {
    for (const dir of ["bin", "etc", "root"]) await Deno.mkdir(`${tree}/${dir}`);
    await Deno.copyFile("/bin/busybox", `${tree}/bin/busybox`);
    await Deno.chmod(`${tree}/bin/busybox`, 0o755);
    for (const name of ["sh", "cat", "uname"]) await Deno.symlink("busybox", `${tree}/bin/${name}`);
    await Deno.writeTextFile(`${tree}/etc/passwd`, "root:x:0:0::/root:/bin/sh\n");
    await Deno.writeTextFile(`${tree}/etc/motd`, "it came in a bundle\n");
    const args = ["-q", "-F", "-Eroot_owner=0:0", "-d", tree, path, "256M"];
    await run("mkfs.ext4", args, { timeoutMs: 60_000 });
  } finally {
    await Deno.remove(tree, { recursive: true });
  }
}

/**
 * The modules disk `from` once more, as `path`, with the modules compressed as distributions do it: each
 * form is among those that every boot needs.
 */
export async function compressedModules(from: string, path: string): Promise<void> {
  const tree = await Deno.makeTempDir({ prefix: "banger-modules-" });
  try {
    await run("debugfs", ["-R", `rdump / ${tree}`, from], { timeoutMs: 60_000 });
    await Deno.remove(`${tree}/lost+found`, { recursive: true }).catch(() => {});
    const packers: readonly [string, string][] = [
      ["virtio*.ko", "gzip"],
      ["ext4.ko", "zstd -q --rm"],
      ["*.ko", "xz --check=crc32 --lzma2=dict=1MiB"],
    ];
    for (const [names, packer] of packers) {
      const action = ["-exec", ...packer.split(" "), "{}", "+"];
      await run("find", [tree, "-name", names, ...action], { timeoutMs: 300_000 });
    }
    await run("mkfs.ext4", ["-q", "-F", "-d", tree, path, "256M"], { timeoutMs: 60_000 });
  } finally {
    await Deno.remove(tree, { recursive: true });
  }
}

/** Directory of the Debian kernel in the cached home: as its package has it, and with what it boots with. */
export async function debianKernelDir(banger: Banger): Promise<string> {
  await banger.ok(["kernel", "pull", debianKernel], { timeoutMs: firstRunMs });
  const kernels = `${banger.home}/.local/state/banger/kernels`;
  const dirs: { dir: string; madeMs: number }[] = [];
  for (const name of await namesIn(kernels)) {
    const dir = `${kernels}/${name}`;
    const vmlinuz = await Deno.stat(`${dir}/vmlinuz`).catch(() => undefined);
    if (vmlinuz !== undefined) dirs.push({ dir, madeMs: vmlinuz.mtime?.getTime() ?? 0 });
  }
  const newest = dirs.sort((a, b) => b.madeMs - a.madeMs)[0];
  assert.ok(newest, "the kernel of the Debian archive is here");
  return newest.dir;
}
