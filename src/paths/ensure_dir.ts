import { BangerError, reasonOf } from "../model/errors.ts";
import type { Paths } from "./paths.ts";

/** Whether a symlink to a directory will do: below a home it may, where others can write it may not. */
export type SymlinkRule = "refuse_symlink" | "follow_symlink";

/**
 * Makes `path` and missing parents (0700), and checks that it is a directory of `uid` that no one
 * else can write, whatever was there before: a planted symlink, file or directory is refused.
 * The mode of an existing directory of ours is corrected.
 *
 * @throws BangerError `precondition`
 */
export function ensurePrivateDir(
  path: string,
  uid: number,
  mode = 0o700,
  rule: SymlinkRule = "refuse_symlink",
): void {
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    if (!(cause instanceof Deno.errors.AlreadyExists)) throw unusable(path, cause);
  }
  checkPrivateDir(path, uid, rule);
  try {
    const present = Deno.statSync(path).mode;
    if (present === null || (present & 0o7777) !== mode) Deno.chmodSync(path, mode);
  } catch (cause) {
    throw unusable(path, cause);
  }
}

/**
 * Checks that `path` is a directory of `uid`, and no symlink unless `rule` says otherwise.
 *
 * @throws BangerError `precondition`; Deno.errors.NotFound is passed on when it does not exist
 */
export function checkPrivateDir(
  path: string,
  uid: number,
  rule: SymlinkRule = "refuse_symlink",
): void {
  const info = rule === "follow_symlink" ? Deno.statSync(path) : Deno.lstatSync(path);
  const problem = info.isSymlink
    ? "it is a symbolic link"
    : !info.isDirectory
    ? "it is not a directory"
    : info.uid !== uid
    ? `it belongs to user ${info.uid}`
    : undefined;
  if (problem === undefined) return;
  throw new BangerError("precondition", `Cannot use directory "${path}": ${problem}`, {
    hint: "Remove it, or set XDG_RUNTIME_DIR and XDG_STATE_HOME to directories of your own",
  });
}

/** Checks that files can be made in `path`. @throws BangerError `precondition` */
export function checkWritableDir(path: string): void {
  // Always the same, so that one that a killed process has left is not one more.
  const probe = `${path}/.write-check`;
  try {
    Deno.openSync(probe, { write: true, create: true, mode: 0o600 }).close();
  } catch (cause) {
    throw unusable(path, cause);
  }
  try {
    Deno.removeSync(probe);
  } catch (cause) {
    // Who looks at the same moment has removed it.
    if (!(cause instanceof Deno.errors.NotFound)) throw unusable(path, cause);
  }
}

/**
 * Makes and checks every directory that the daemon needs before it serves.
 *
 * @throws BangerError `precondition` that names the directory
 */
export function ensureOwnerDirs(paths: Paths): void {
  for (const dir of [paths.stateDir, paths.cacheDir, paths.configDir, paths.sshDir]) {
    ensurePrivateDir(dir, paths.uid, 0o700, "follow_symlink");
  }
  checkWritableDir(paths.stateDir);
  for (
    const dir of [
      paths.vmsDir,
      paths.imagesDir,
      paths.kernelsDir,
      paths.kitsDir,
      paths.stagingDir,
      paths.downloadsDir,
    ]
  ) {
    ensurePrivateDir(dir, paths.uid, 0o700, "follow_symlink");
  }
  ensurePrivateDir(paths.runtimeBase, paths.uid, paths.runtimeDirMode);
  ensurePrivateDir(paths.runtimeDir, paths.uid, paths.runtimeDirMode);
  ensureMemoryDirs(paths);
}

/** A host without /dev/shm keeps guests' memory beside their disks; a planted directory is refused. */
function ensureMemoryDirs(paths: Paths): void {
  try {
    Deno.statSync("/dev/shm");
  } catch {
    return;
  }
  ensurePrivateDir(paths.memoryBase, paths.uid, paths.runtimeDirMode);
  ensurePrivateDir(paths.memoryDir, paths.uid, paths.runtimeDirMode);
}

function unusable(path: string, cause: unknown): BangerError {
  return new BangerError("precondition", `Cannot write to "${path}": ${reasonOf(cause)}`, {
    hint: "Check its owner, mode and free space, or set XDG_STATE_HOME to another directory",
    cause,
  });
}
