import { removeIfThere } from "../files/remove_if_there.ts";
import { BangerError, isBangerError, reasonOf } from "../model/errors.ts";

/** User and group of a VM's processes; `null` when they run as the daemon's own user. */
export type MemoryOwner = { readonly uid: number; readonly gid: number } | null;

/** Where the file that backs a guest's memory may be: made in the first place that has room. */
export interface MemoryPaths {
  /** There its pages are plain memory. */
  readonly tmpfs: string;
  /** For hosts without a tmpfs that is large enough: the host writes every page that the guest touches. */
  readonly disk: string;
}

/**
 * Makes and removes the files that back guests' memory. A port: the services of the daemon may not touch
 * `/dev/shm` themselves (Deno grants files below `/dev` only with every permission).
 */
export interface MemoryFiles {
  /**
   * Makes a sparse file of `memoryMib` that only `owner` can read, and answers which one.
   *
   * @throws BangerError `exhausted` when neither file system has enough room, `conflict` when the file
   * exists, `precondition` when it cannot be made
   */
  make(paths: MemoryPaths, memoryMib: number, owner: MemoryOwner): Promise<string>;
  /** Why `make` would have no room for so much memory now; `null` when it has. Makes nothing. */
  problem(paths: MemoryPaths, memoryMib: number): Promise<string | null>;
  /** Removes a file that `make` answered; none is no error. */
  remove(path: string): Promise<void>;
}

/** {@linkcode MemoryFiles} with the rights of this process. */
export class LocalMemoryFiles implements MemoryFiles {
  async make(paths: MemoryPaths, memoryMib: number, owner: MemoryOwner): Promise<string> {
    try {
      await makeMemoryFile(paths.tmpfs, memoryMib, owner);
      return paths.tmpfs;
    } catch (error) {
      // `precondition`: this host has no /dev/shm.
      if (!isBangerError(error, "exhausted") && !isBangerError(error, "precondition")) throw error;
    }
    await makeMemoryFile(paths.disk, memoryMib, owner);
    return paths.disk;
  }

  async problem(paths: MemoryPaths, memoryMib: number): Promise<string | null> {
    const states: string[] = [];
    for (const path of [paths.tmpfs, paths.disk]) {
      const dir = dirOf(path);
      const freeMib = await freeMibIn(dir).catch(() => null);
      if (freeMib !== null && freeMib >= memoryMib) return null;
      if (freeMib !== null) states.push(`"${dir}" has ${freeMib} MiB left`);
    }
    return `there is no room for ${memoryMib} MiB of memory: ${states.join(", ")}`;
  }

  async remove(path: string): Promise<void> {
    await removeIfThere(path);
  }
}

async function makeMemoryFile(path: string, memoryMib: number, owner: MemoryOwner): Promise<void> {
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

/** A file system that is too full is refused: a guest would be killed by SIGBUS at its first page too many. */
async function checkRoom(path: string, memoryMib: number): Promise<void> {
  const dir = dirOf(path);
  const freeMib = await freeMibIn(dir).catch((cause: unknown) => {
    throw new BangerError("precondition", `Cannot use "${dir}": ${reasonOf(cause)}`, { cause });
  });
  if (freeMib >= memoryMib) return;
  throw new BangerError(
    "exhausted",
    `Cannot give the VM ${memoryMib} MiB of memory: "${dir}" has ${freeMib} MiB left`,
    { hint: "Choose less memory with --memory, or stop a VM: banger vm list" },
  );
}

function dirOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

async function freeMibIn(dir: string): Promise<number> {
  // Loaded on use: a daemon without VMs does without it.
  const { statfs } = await import("node:fs/promises");
  const { bavail, bsize } = await statfs(dir);
  return Math.floor(bavail * bsize / (1024 * 1024));
}
