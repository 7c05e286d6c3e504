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
