import { BangerError, reasonOf } from "../model/errors.ts";

/**
 * Makes the file that backs a guest's memory: sparse, of `memoryMib`, readable by its owner only.
 *
 * It belongs on tmpfs. There its pages are plain memory; on a disk the host would write every page
 * that the guest touches. A tmpfs that has not enough room is refused: a guest that touches a page
 * beyond it would be killed by SIGBUS.
 *
 * @throws BangerError `exhausted` when the file system has not enough room, `conflict` when the file
 * exists
 */
export async function makeMemoryFile(
  path: string,
  memoryMib: number,
  owner: { readonly uid: number; readonly gid: number } | null,
): Promise<void> {
  await checkRoom(path, memoryMib);
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path, { createNew: true, write: true, mode: 0o600 });
  } catch (cause) {
    const exists = cause instanceof Deno.errors.AlreadyExists;
    throw new BangerError(
      exists ? "conflict" : "precondition",
      `Cannot make memory file "${path}": ${exists ? "it exists" : reasonOf(cause)}`,
      { cause },
    );
  }
  try {
    using _closing = file;
    await file.truncate(memoryMib * 1024 * 1024);
    if (owner !== null) await Deno.chown(path, owner.uid, owner.gid);
  } catch (error) {
    await Deno.remove(path);
    throw error;
  }
}

async function checkRoom(path: string, memoryMib: number): Promise<void> {
  const dir = path.slice(0, path.lastIndexOf("/")) || "/";
  // Loaded on use: a daemon without VMs does without it.
  const { statfs } = await import("node:fs/promises");
  const { bavail, bsize } = await statfs(dir);
  const freeMib = Math.floor(bavail * bsize / (1024 * 1024));
  if (freeMib >= memoryMib) return;
  throw new BangerError(
    "exhausted",
    `Cannot give the VM ${memoryMib} MiB of memory: "${dir}" has ${freeMib} MiB left`,
    { hint: "Choose less memory with --memory, or stop a VM: banger vm list" },
  );
}
