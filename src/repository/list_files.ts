import { plainEnv, run } from "../process/run.ts";
import type { Discovered } from "./discover_repository.ts";
import type { HostGit } from "./host_git.ts";

/** The files of one repository. */
export interface ListedFiles {
  /** Names below the outermost root, each followed by NUL. */
  readonly names: readonly Uint8Array[];
  readonly fileCount: number;
  readonly totalBytes: number;
  /** Directories below this repository's root that are repositories themselves, or submodules. */
  readonly innerDirs: readonly string[];
  readonly notices: readonly string[];
}

const timeoutMs = 120_000;
const maxListBytes = 1024 * 1024 * 1024;
const slash = 0x2f;

/**
 * Lists tracked files and untracked ones that git does not ignore, as far as they are regular files
 * or symbolic links in real directories now. A name in the index may lead through a link to anywhere
 * on the host, so every directory on the way is checked.
 *
 * @param env what `GitDir.hostEnv` says: git must not read the repository's own configuration
 */
export async function listFiles(
  git: HostGit,
  found: Discovered,
  env: Readonly<Record<string, string>>,
  prefix: string,
  signal: AbortSignal,
): Promise<ListedFiles> {
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const options = { cwd: found.root, signal, timeoutMs, maxStdoutBytes: maxListBytes };
  const { stdout } = await git.call(args, { ...options, env });
  const wanted = new NameSet();
  const dirs = new NameSet();
  for (const name of splitNul(stdout)) addWithParents(name, wanted, dirs);
  const stats = await statAll([...dirs.names, ...wanted.names], found.root, signal);
  return select(stats, wanted, dirs, new TextEncoder().encode(prefix));
}

/** Names as bytes, keyed by text with one character a byte. */
class NameSet {
  readonly #names = new Map<string, Uint8Array>();

  get names(): Iterable<Uint8Array> {
    return this.#names.values();
  }

  add(name: Uint8Array): boolean {
    const key = keyOf(name);
    if (this.#names.has(key)) return false;
    this.#names.set(key, name);
    return true;
  }

  has(key: string): boolean {
    return this.#names.has(key);
  }
}

function keyOf(bytes: Uint8Array): string {
  let key = "";
  for (const byte of bytes) key += String.fromCharCode(byte);
  return key;
}

function addWithParents(name: Uint8Array, wanted: NameSet, dirs: NameSet): void {
  // git shows a repository inside this one as a name with a slash at its end.
  const bare = name.at(-1) === slash ? name.subarray(0, -1) : name;
  if (!isSafeName(bare)) return;
  if (!wanted.add(bare)) return;
  for (let at = bare.lastIndexOf(slash); at > 0; at = bare.lastIndexOf(slash, at - 1)) {
    if (!dirs.add(bare.subarray(0, at))) break;
  }
}

/** An index is data of the repository: `../x`, `/x` and `.git/x` can stand in it. */
function isSafeName(name: Uint8Array): boolean {
  if (name.length === 0 || name.length > 4096) return false;
  return keyOf(name).split("/").every((part) =>
    part !== "" && part !== "." && part !== ".." && !/^\.git$/i.test(part)
  );
}

function* splitNul(bytes: Uint8Array): Generator<Uint8Array> {
  let from = 0;
  for (let at = bytes.indexOf(0); at >= 0; at = bytes.indexOf(0, from)) {
    yield bytes.subarray(from, at);
    from = at + 1;
  }
}

interface Stat {
  readonly kind: "file" | "dir" | "link" | "other";
  readonly size: number;
  readonly name: Uint8Array;
}

/** lstat(2) of every name; those that are not there are left out. Deno cannot name non-UTF-8 files. */
async function statAll(
  names: readonly Uint8Array[],
  cwd: string,
  signal: AbortSignal,
): Promise<readonly Stat[]> {
  if (names.length === 0) return [];
  const args = ["--null", "--no-run-if-empty", "stat", "--printf=%f %s %n\\0", "--"];
  const { stdout } = await run("xargs", args, {
    stdin: joinNul(names),
    cwd,
    env: plainEnv,
    signal,
    timeoutMs,
    maxStdoutBytes: maxListBytes * 2,
    // 123: some name is not there, for example a tracked file that was deleted.
    okCodes: [0, 123],
  });
  return [...splitNul(stdout)].map(parseStat);
}

function parseStat(record: Uint8Array): Stat {
  const first = record.indexOf(0x20);
  const second = record.indexOf(0x20, first + 1);
  const mode = parseInt(keyOf(record.subarray(0, first)), 16) & 0o170000;
  const kinds: Readonly<Record<number, Stat["kind"]>> = {
    [0o100000]: "file",
    [0o040000]: "dir",
    [0o120000]: "link",
  };
  return {
    kind: kinds[mode] ?? "other",
    size: Number(keyOf(record.subarray(first + 1, second))),
    name: record.subarray(second + 1),
  };
}

function select(
  stats: readonly Stat[],
  wanted: NameSet,
  dirs: NameSet,
  prefix: Uint8Array,
): ListedFiles {
  const realDirs = new Set<string>();
  for (const stat of stats) if (stat.kind === "dir") realDirs.add(keyOf(stat.name));
  const seen = new Set<string>();
  const names: Uint8Array[] = [];
  const innerDirs: string[] = [];
  const notices: string[] = [];
  let totalBytes = 0;
  let special = 0;
  let through = 0;
  for (const { kind, size, name } of stats) {
    const key = keyOf(name);
    if (!wanted.has(key) || seen.has(key)) continue;
    seen.add(key);
    if (!parentsAreReal(key, realDirs)) {
      through += 1;
    } else if (kind === "file" || kind === "link") {
      names.push(prefix, name, Uint8Array.of(0));
      totalBytes += kind === "file" ? size : 0;
    } else if (kind === "dir") {
      // A tracked file that is a directory now has its files listed on their own.
      if (!dirs.has(key)) addInner(name, innerDirs, notices);
    } else special += 1;
  }
  if (special > 0) notices.push(`Not copied: ${special} FIFOs, sockets or devices`);
  if (through > 0) notices.push(`Not copied: ${through} tracked names that lead through a link`);
  return { names, fileCount: names.length / 3, totalBytes, innerDirs, notices };
}

function parentsAreReal(key: string, realDirs: ReadonlySet<string>): boolean {
  for (let at = key.lastIndexOf("/"); at > 0; at = key.lastIndexOf("/", at - 1)) {
    if (!realDirs.has(key.slice(0, at))) return false;
  }
  return true;
}

function addInner(name: Uint8Array, innerDirs: string[], notices: string[]): void {
  try {
    innerDirs.push(new TextDecoder("utf-8", { fatal: true }).decode(name));
  } catch {
    notices.push("Not copied: a repository inside this one whose name is not UTF-8");
  }
}

function joinNul(names: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(names.reduce((sum, name) => sum + name.length + 1, 0));
  let at = 0;
  for (const name of names) {
    all.set(name, at);
    at += name.length + 1;
  }
  return all;
}
