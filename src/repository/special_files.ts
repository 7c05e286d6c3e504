import { BangerError } from "../model/errors.ts";

/** Files that git, or banger, opens by name below a `.git` directory. */
const gitFiles = [
  "HEAD",
  "commondir",
  "config",
  "config.worktree",
  "gitdir",
  "index",
  "info/attributes",
  "info/exclude",
  "info/grafts",
  "info/sparse-checkout",
  "objects/info/alternates",
  "packed-refs",
  "shallow",
] as const;

const treeFiles = [".gitattributes", ".gitignore", ".gitmodules"] as const;

/**
 * Refuses a repository in which a file that git opens is something else: opening a FIFO or a device
 * would block, and a symbolic link would make git read a file from elsewhere.
 *
 * @throws BangerError `precondition`
 */
export function refuseSpecialFiles(root: string, ...gitDirs: readonly string[]): void {
  const dirs = gitDirs.length > 0 ? gitDirs : [`${root}/.git`];
  if (gitDirs.length === 0) refuse(`${root}/.git`, ["file", "dir", "symlink"]);
  for (const name of treeFiles) refuse(`${root}/${name}`, ["file", "dir", "symlink"]);
  for (const dir of dirs) for (const name of gitFiles) refuse(`${dir}/${name}`, ["file"]);
}

function refuse(path: string, allowed: readonly ("file" | "dir" | "symlink")[]): void {
  let info: Deno.FileInfo;
  try {
    info = Deno.lstatSync(path);
  } catch {
    return;
  }
  const kind = info.isFile
    ? "file"
    : info.isDirectory
    ? "dir"
    : info.isSymlink
    ? "symlink"
    : "other";
  if (allowed.some((one) => one === kind) && !(kind === "symlink" && leadsToSpecial(path))) return;
  throw new BangerError(
    "precondition",
    `Cannot copy the repository: "${path}" is not a regular file`,
    {
      code: "REPOSITORY_SPECIAL_FILE",
    },
  );
}

function leadsToSpecial(path: string): boolean {
  try {
    const info = Deno.statSync(path);
    return !info.isFile && !info.isDirectory;
  } catch {
    return false;
  }
}
