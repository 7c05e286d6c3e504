import { BangerError } from "../model/errors.ts";
import { fromBytes, toBytes } from "./byte_text.ts";
import type { Discovered } from "./discover_repository.ts";
import { guestGitConfig, readGitConfig } from "./git_config.ts";
import type { HostGit } from "./host_git.ts";
import { objectFiles, type ObjectStore } from "./object_files.ts";
import { packLooseObjects } from "./pack_loose_objects.ts";
import { readRefs, type Refs } from "./read_refs.ts";
import { isRefName } from "./ref_name.ts";

/** A small file of the sanitised `.git`. */
export interface GitFile {
  /** Below `.git/`; one character a byte. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly mtimeS: number;
}

/** Files that are copied as they are: data that runs nothing and names nothing of the host. */
const copiedFiles = [
  ["common", "info/exclude"],
  ["common", "info/attributes"],
  ["common", "shallow"],
  ["common", "logs/refs/stash"],
  ["own", "info/sparse-checkout"],
] as const;

const maxSmallBytes = 16 * 1024 * 1024;
const maxIndexBytes = 1024 * 1024 * 1024;

/**
 * The `.git` that the guest gets: HEAD, refs, index, objects and a fresh configuration. Host git
 * works on the same (without the objects), so that it never reads the repository's configuration.
 */
export class GitDir {
  #objects: ObjectStore;
  readonly #found: Discovered;
  readonly #config: string;
  readonly #refs: Refs;
  readonly #copied: readonly GitFile[];
  #head: string;

  private constructor(
    found: Discovered,
    head: string,
    config: string,
    refs: Refs,
    objects: ObjectStore,
    copied: readonly GitFile[],
  ) {
    this.#found = found;
    this.#head = head;
    this.#config = config;
    this.#refs = refs;
    this.#objects = objects;
    this.#copied = copied;
  }

  /** Reads everything but the objects' contents. @throws BangerError `precondition` */
  static async read(git: HostGit, found: Discovered, signal: AbortSignal): Promise<GitDir> {
    const { gitDir, commonDir } = found;
    const settings = [
      ...await readGitConfig(git, `${commonDir}/config`, signal),
      ...await readGitConfig(git, `${gitDir}/config.worktree`, signal),
    ];
    if (settings.some(([key, value]) => key === "extensions.refstorage" && value !== "files")) {
      throw new BangerError(
        "precondition",
        `Cannot copy "${found.root}": its refs are in a reftable`,
        {
          hint: "git refs migrate --ref-format=files",
        },
      );
    }
    return new GitDir(
      found,
      readHead(found),
      guestGitConfig(settings),
      readRefs(commonDir),
      objectFiles(commonDir, Deno.uid() ?? 0),
      readCopied(found),
    );
  }

  /** The objects to copy. */
  get objects(): ObjectStore {
    return this.#objects;
  }

  /** Puts loose objects into a pack in `dir`, where {@linkcode writeForHost} has written. */
  async pack(git: HostGit, dir: string, signal: AbortSignal): Promise<void> {
    const env = this.hostEnv(dir);
    this.#objects = await packLooseObjects(git, this.#objects, dir, env, signal);
  }

  /** The current branch; `null` when HEAD is detached. */
  get branch(): string | null {
    return /^ref: refs\/heads\/(.+)\n$/.exec(this.#head)?.[1] ?? null;
  }

  get notices(): readonly string[] {
    return [...this.#refs.notices, ...this.#objects.notices];
  }

  /** Bytes of everything that the guest gets. */
  get totalBytes(): number {
    return this.files().reduce((sum, file) => sum + file.bytes.length, this.#objects.totalBytes);
  }

  /**
   * Puts the copy on `branch`. A missing one is made from the current commit; one that exists
   * elsewhere must be checked out in the guest: its name is the answer, `null` otherwise.
   */
  useBranch(branch: string): string | null {
    const name = fromBytes(new TextEncoder().encode(`refs/heads/${branch}`));
    if (this.branch === branch) return null;
    const head = this.#currentId();
    const existing = this.#refs.direct.get(name);
    if (existing !== undefined && existing !== head) return branch;
    this.#head = `ref: ${name}\n`;
    if (existing === undefined && head !== undefined) {
      (this.#refs.direct as Map<string, string>).set(name, head);
    }
    return null;
  }

  #currentId(): string | undefined {
    const ref = /^ref: (.+)\n$/.exec(this.#head)?.[1];
    return ref === undefined ? this.#head.trim() : this.#refs.direct.get(ref);
  }

  /** The small files of the guest's `.git`. */
  files(): readonly GitFile[] {
    const mtimeS = Math.floor(Date.now() / 1000);
    const text = (name: string, content: string) => ({ name, bytes: toBytes(content), mtimeS });
    const packed = [...this.#refs.direct].sort(([a], [b]) => a < b ? -1 : 1);
    return [
      text("HEAD", this.#head),
      { name: "config", bytes: new TextEncoder().encode(this.#config), mtimeS },
      text("packed-refs", packed.map(([name, id]) => `${id} ${name}\n`).join("")),
      ...[...this.#refs.symbolic].map(([name, target]) => text(name, `ref: ${target}\n`)),
      ...this.#copied,
    ];
  }

  /** Writes it to a directory of the host, for {@linkcode HostGit}; objects stay where they are. */
  writeForHost(dir: string): void {
    Deno.mkdirSync(`${dir}/refs`);
    Deno.mkdirSync(`${dir}/info`);
    Deno.writeTextFileSync(`${dir}/config`, this.#config);
    Deno.writeFileSync(`${dir}/HEAD`, toBytes(this.#head));
    for (const file of this.#copied) {
      if (/^(?:index|sharedindex\.[0-9a-f]+|info\/(?:exclude|sparse-checkout))$/.test(file.name)) {
        Deno.writeFileSync(`${dir}/${file.name}`, file.bytes);
      }
    }
  }

  /** Variables that make host git work on what {@linkcode writeForHost} wrote. */
  hostEnv(dir: string): Readonly<Record<string, string>> {
    return {
      GIT_DIR: dir,
      GIT_WORK_TREE: this.#found.root,
      GIT_OBJECT_DIRECTORY: `${this.#found.commonDir}/objects`,
    };
  }
}

function readHead({ gitDir, root }: Discovered): string {
  const text = fromBytes(Deno.readFileSync(`${gitDir}/HEAD`)).trim();
  const ref = /^ref: (.+)$/.exec(text)?.[1];
  if (ref !== undefined ? isRefName(ref) : /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(text)) {
    return `${text}\n`;
  }
  throw new BangerError("precondition", `Cannot copy "${root}": its HEAD is damaged`, {
    hint: "git status says more",
  });
}

function readCopied({ gitDir, commonDir }: Discovered): readonly GitFile[] {
  const files: GitFile[] = [];
  for (const [where, name] of copiedFiles) {
    files.push(...fileAt(`${where === "own" ? gitDir : commonDir}/${name}`, name, maxSmallBytes));
  }
  files.push(...fileAt(`${gitDir}/index`, "index", maxIndexBytes));
  for (const entry of Deno.readDirSync(gitDir)) {
    if (/^sharedindex\.[0-9a-f]{40,64}$/.test(entry.name)) {
      files.push(...fileAt(`${gitDir}/${entry.name}`, entry.name, maxIndexBytes));
    }
  }
  return files;
}

function fileAt(path: string, name: string, maxBytes: number): readonly GitFile[] {
  let info: Deno.FileInfo;
  try {
    info = Deno.lstatSync(path);
  } catch {
    return [];
  }
  if (!info.isFile || info.size > maxBytes) return [];
  const mtimeS = Math.floor((info.mtime?.getTime() ?? 0) / 1000);
  return [{ name, bytes: Deno.readFileSync(path), mtimeS }];
}
