import { BangerError } from "../model/errors.ts";
import { headBytes, rootfsProblem } from "./rootfs_problem.ts";

/** A file with a root file system, as it is now. */
export interface RootfsFile {
  /** Absolute, with every symbolic link followed. */
  readonly path: string;
  readonly bytes: number;
  /** What it takes on the disk, in bytes. */
  readonly diskBytes: number;
  readonly inode: number;
  /** Milliseconds since the epoch. */
  readonly modifiedMs: number;
}

/**
 * Looks whether a file of the user's can be a VM's root disk: a regular file that may be read, with an
 * ext4 file system as large as its superblock says. It is never mounted here; what else is wrong with
 * it, the guest's kernel finds out.
 *
 * @param path absolute
 * @throws BangerError `not_found`, `precondition` when it may not be read, `invalid` (code NOT_A_ROOTFS)
 */
export async function examineRootfs(path: string): Promise<RootfsFile> {
  try {
    const real = await Deno.realPath(path);
    // Looked at first: to open a FIFO would wait for its writer.
    const seen = await Deno.stat(real);
    if (!seen.isFile) throw problem(path, "it is no regular file");
    using file = await Deno.open(real, { read: true });
    const { ino, dev, size, blocks, mtime } = await file.stat();
    if (ino !== seen.ino || dev !== seen.dev) throw problem(path, "it is being replaced");
    const found = rootfsProblem(await start(file), size);
    if (found !== undefined) throw problem(path, found.state, found.hint);
    return {
      path: real,
      bytes: size,
      diskBytes: blocks === null ? size : blocks * 512,
      inode: ino ?? 0,
      modifiedMs: mtime?.getTime() ?? 0,
    };
  } catch (cause) {
    throw expected(path, cause);
  }
}

async function start(file: Deno.FsFile): Promise<Uint8Array> {
  const head = new Uint8Array(headBytes);
  let length = 0;
  while (length < head.length) {
    const count = await file.read(head.subarray(length));
    if (count === null) break;
    length += count;
  }
  return head.subarray(0, length);
}

function problem(path: string, state: string, hint?: string): BangerError {
  return new BangerError("invalid", `Cannot use "${path}" as a root disk: ${state}`, {
    code: "NOT_A_ROOTFS",
    hint: hint ?? "Give a file with an ext4 file system, as mkfs.ext4 -d TREE FILE SIZE makes it",
  });
}

function expected(path: string, cause: unknown): unknown {
  const what = `Cannot use "${path}" as a root disk`;
  if (cause instanceof Deno.errors.NotFound || cause instanceof Deno.errors.NotADirectory) {
    return new BangerError("not_found", `${what}: there is no such file`, { cause });
  }
  if (cause instanceof Deno.errors.PermissionDenied) {
    return new BangerError("precondition", `${what}: it may not be read`, {
      hint: `chmod u+r, or copy it to where your user may read it`,
      cause,
    });
  }
  return cause;
}
