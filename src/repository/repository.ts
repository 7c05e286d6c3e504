/**
 * A git repository of the host, inspected and streamed: its files, untracked ones included that git
 * does not ignore, and its history in a sanitised form.
 *
 * Owns: everything that reads a host repository. It runs in the CLI, as the calling user. The
 * repository is hostile input: no program that it names is ever run, git reads a fresh
 * configuration instead of the repository's, names are bytes that are never decoded, and only
 * regular files and symbolic links are copied. Must not import the client, services or the CLI.
 */
import { BangerError } from "../model/errors.ts";
import { type Discovered, discoverRepository } from "./discover_repository.ts";
import { GitDir } from "./git_dir.ts";
import type { HostGit } from "./host_git.ts";
import { listFiles } from "./list_files.ts";
import { isBranchName } from "./ref_name.ts";
import { workspaceName } from "./workspace_name.ts";

/** One repository of a copy: the one asked for, or one inside it. */
export interface RepositoryPart {
  /** Where it is below the root, as `sub/dir/`; empty for the root itself. */
  readonly prefix: string;
  readonly gitDir: GitDir;
}

/** What is copied. */
export interface RepositoryContents {
  /** Root directory on the host. */
  readonly root: string;
  /** Safe directory name for the guest. */
  readonly name: string;
  /** Branch that the copy is on; `null` when HEAD is detached. */
  readonly branch: string | null;
  /** Branch that must be checked out in the guest, since it is not the one whose files are copied. */
  readonly checkout: string | null;
  readonly parts: readonly RepositoryPart[];
  /** Names below `root` of the files and links to copy, each followed by NUL. */
  readonly fileNames: Uint8Array;
  /** Directories to make that nothing is copied into, such as submodules that are not there. */
  readonly emptyDirs: readonly string[];
  readonly fileCount: number;
  readonly totalBytes: number;
  /** What the user should know, such as what is not copied. */
  readonly notices: readonly string[];
  /** Removes the temporary files that it needs while it is copied. */
  readonly close: () => Promise<void>;
}

const maxParts = 100;
const maxDepth = 8;

/**
 * Inspects a repository that {@linkcode discoverRepository} found. The caller closes the answer.
 *
 * @param branch put the copy on this branch, made from the current commit when there is none
 * @throws BangerError `invalid` for a bad branch name, `precondition` for a repository that cannot
 * be copied, `timeout`, `cancelled`
 */
export async function inspectRepository(
  git: HostGit,
  found: Discovered,
  branch: string | null,
  signal: AbortSignal,
): Promise<RepositoryContents> {
  if (branch !== null && !isBranchName(branch)) {
    throw new BangerError(
      "invalid",
      `Cannot use branch ${JSON.stringify(branch.slice(0, 80))}: git allows no such name`,
    );
  }
  const inspection = new Inspection(git, signal);
  try {
    const top = await inspection.add(found, "", 0);
    const checkout = branch === null ? null : top.useBranch(branch);
    return {
      root: found.root,
      name: workspaceName(found.root),
      branch: branch ?? top.branch,
      checkout,
      ...inspection.result(),
      close: () => inspection.close(),
    };
  } catch (error) {
    await inspection.close();
    throw error;
  }
}

class Inspection {
  readonly #git: HostGit;
  readonly #signal: AbortSignal;
  readonly #parts: RepositoryPart[] = [];
  readonly #names: Uint8Array[] = [];
  readonly #emptyDirs: string[] = [];
  readonly #notices: string[] = [];
  readonly #tempDirs: string[] = [];
  #fileCount = 0;
  #totalBytes = 0;

  constructor(git: HostGit, signal: AbortSignal) {
    this.#git = git;
    this.#signal = signal;
  }

  async add(found: Discovered, prefix: string, depth: number): Promise<GitDir> {
    const gitDir = await GitDir.read(this.#git, found, this.#signal);
    this.#parts.push({ prefix, gitDir });
    this.#notices.push(
      ...gitDir.notices.map((text) => prefix === "" ? text : `${prefix}: ${text}`),
    );
    const temp = await Deno.makeTempDir({ prefix: "banger-git-" });
    this.#tempDirs.push(temp);
    gitDir.writeForHost(temp);
    const env = gitDir.hostEnv(temp);
    await gitDir.pack(this.#git, temp, this.#signal);
    const listed = await listFiles(this.#git, found, env, prefix, this.#signal);
    this.#names.push(...listed.names);
    this.#fileCount += listed.fileCount;
    this.#totalBytes += listed.totalBytes + gitDir.totalBytes;
    this.#notices.push(...listed.notices);
    for (const inner of listed.innerDirs) await this.#addInner(found, inner, prefix, depth);
    return gitDir;
  }

  async #addInner(outer: Discovered, dir: string, prefix: string, depth: number): Promise<void> {
    const path = `${outer.root}/${dir}`;
    const shown = `${prefix}${dir}`;
    if (!await hasGit(path)) {
      this.#emptyDirs.push(shown);
      return;
    }
    if (depth >= maxDepth || this.#parts.length >= maxParts) {
      this.#notices.push(`Not copied: ${shown}: too many repositories inside each other`);
      return;
    }
    try {
      await this.add(
        await discoverRepository(this.#git, path, this.#signal),
        `${shown}/`,
        depth + 1,
      );
    } catch (error) {
      const expected = error instanceof BangerError &&
        ["precondition", "untrusted"].includes(error.kind);
      if (!expected) throw error;
      this.#notices.push(`Not copied: ${shown}: ${error.message}`);
    }
  }

  result() {
    return {
      parts: this.#parts,
      fileNames: join(this.#names),
      emptyDirs: this.#emptyDirs,
      fileCount: this.#fileCount,
      totalBytes: this.#totalBytes,
      notices: this.#notices,
    };
  }

  async close(): Promise<void> {
    for (const dir of this.#tempDirs.splice(0)) await Deno.remove(dir, { recursive: true });
  }
}

async function hasGit(path: string): Promise<boolean> {
  try {
    await Deno.lstat(`${path}/.git`);
    return true;
  } catch {
    return false;
  }
}

function join(chunks: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
