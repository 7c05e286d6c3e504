import { BangerError } from "../model/errors.ts";
import type { HostGit } from "./host_git.ts";
import { refuseSpecialFiles } from "./special_files.ts";

/** Where the parts of a repository are; absolute paths. */
export interface Discovered {
  /** Top of the work tree. */
  readonly root: string;
  /** Of this work tree: HEAD and index. */
  readonly gitDir: string;
  /** Shared by all work trees: refs, objects, config. */
  readonly commonDir: string;
  readonly objectFormat: "sha1" | "sha256";
}

const timeoutMs = 15_000;
const noWorkspaceHint = "banger vm run --no-workspace boots a VM without a repository";

/**
 * Finds the repository that contains `path`, as git does, and checks that its parts belong
 * together: a `.git` that points to another repository would copy that one's history.
 *
 * @throws BangerError `not_found` when `path` is not there or in no repository; `precondition` for
 * a bare one, one of dubious ownership, or one whose parts point elsewhere
 */
export async function discoverRepository(
  git: HostGit,
  path: string,
  signal: AbortSignal,
): Promise<Discovered> {
  const dir = await directoryOf(path);
  const outer = await findDotGit(dir);
  if (outer !== undefined) refuseSpecialFiles(outer);
  const { code, stdout, stderr } = await git.call([
    "rev-parse",
    "--is-bare-repository",
    "--show-object-format",
    "--path-format=absolute",
    "--git-dir",
    "--git-common-dir",
    "--show-toplevel",
  ], { cwd: dir, signal, timeoutMs, okCodes: [0, 128] });
  const lines = new TextDecoder().decode(stdout).split("\n");
  if (code !== 0) throw refusal(path, stderr, lines[0] ?? "");
  const [, objectFormat, gitDir, commonDir, root, end] = lines;
  const isKnown = objectFormat === "sha1" || objectFormat === "sha256";
  if (!isKnown || !gitDir || !commonDir || !root || end !== "" || lines.length !== 6) {
    throw unusable(path, "git describes it in a form that is not understood");
  }
  const found = { root, gitDir, commonDir, objectFormat } as const;
  await checkParts(found, dir);
  return found;
}

async function directoryOf(path: string): Promise<string> {
  try {
    const info = await Deno.stat(path);
    if (info.isDirectory) return await Deno.realPath(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new BangerError("not_found", `Cannot copy "${path}": there is no such directory`, {
      cause,
    });
  }
  throw new BangerError("invalid", `Cannot copy "${path}": it is not a directory`);
}

/** The directory at or above `dir` that has a `.git`. */
async function findDotGit(dir: string): Promise<string | undefined> {
  for (let at = dir;; at = at.slice(0, at.lastIndexOf("/")) || "/") {
    try {
      await Deno.lstat(`${at}/.git`);
      return at;
    } catch {
      if (at === "/") return undefined;
    }
  }
}

function refusal(path: string, stderr: string, isBare: string): BangerError {
  const detail = stderr.trim();
  if (detail.includes("dubious ownership")) {
    return new BangerError(
      "precondition",
      `Cannot copy "${path}": the repository is another user's`,
      {
        hint: "If you trust it: git config --global --add safe.directory DIR",
        detail,
        code: "REPOSITORY_DUBIOUS_OWNERSHIP",
      },
    );
  }
  if (isBare === "true" || detail.includes("must be run in a work tree")) {
    return unusable(path, "it is in a bare repository, which has no files to copy");
  }
  if (detail.includes("not a git repository")) {
    return new BangerError("not_found", `Cannot copy "${path}": it is not in a git repository`, {
      hint: noWorkspaceHint,
      code: "NOT_A_REPOSITORY",
    });
  }
  return new BangerError("precondition", `Cannot copy "${path}": git refuses it`, {
    hint: noWorkspaceHint,
    detail,
  });
}

async function checkParts(found: Discovered, dir: string): Promise<void> {
  const { root, gitDir, commonDir } = found;
  const inside = dir === root || dir.startsWith(root === "/" ? "/" : `${root}/`);
  if (!inside) throw foreign(root, `its core.worktree points to "${root}"`);
  const dotGit = await Deno.lstat(`${root}/.git`).catch(() => undefined);
  if (dotGit === undefined) {
    throw foreign(root, "its core.worktree points to a directory without .git");
  }
  const isPlain = dotGit.isDirectory && gitDir === `${root}/.git`;
  if (!isPlain && !await pointsBack(root, gitDir)) {
    throw foreign(root, `its .git leads to "${gitDir}", which does not name it as its work tree`);
  }
  if (commonDir !== gitDir && !gitDir.startsWith(`${commonDir}/worktrees/`)) {
    throw foreign(root, `its work tree's common directory is "${commonDir}"`);
  }
  refuseSpecialFiles(root, gitDir, commonDir);
}

/** Whether `gitDir` itself says that `root` is its work tree (git-worktree(1), gitsubmodules(7)). */
async function pointsBack(root: string, gitDir: string): Promise<boolean> {
  const back = await smallText(`${gitDir}/gitdir`);
  if (back !== undefined) return resolve(gitDir, back.trim()) === `${root}/.git`;
  const config = await smallText(`${gitDir}/config`) ?? "";
  const worktree = /^\s*worktree\s*=\s*"?([^"\n]+?)"?\s*$/m.exec(config)?.[1];
  return worktree !== undefined && resolve(gitDir, worktree) === root;
}

async function smallText(path: string): Promise<string | undefined> {
  try {
    const info = await Deno.lstat(path);
    return info.isFile && info.size <= 1024 * 1024 ? await Deno.readTextFile(path) : undefined;
  } catch {
    return undefined;
  }
}

function resolve(base: string, path: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${base}/${path}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

function unusable(path: string, why: string): BangerError {
  return new BangerError("precondition", `Cannot copy "${path}": ${why}`, {
    hint: noWorkspaceHint,
  });
}

function foreign(path: string, why: string): BangerError {
  return new BangerError("precondition", `Cannot copy "${path}": ${why}`, {
    hint: "If it is yours, say so in that repository: git config core.worktree DIR",
    code: "REPOSITORY_FOREIGN_GITDIR",
  });
}
