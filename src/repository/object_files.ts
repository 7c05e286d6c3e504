/** A file of a repository's object store. */
export interface ObjectFile {
  /** Below `objects/`, ASCII. */
  readonly name: string;
  readonly path: string;
  readonly size: number;
  readonly mtimeS: number;
}

/** The object store of a repository, alternates included. */
export interface ObjectStore {
  readonly files: readonly ObjectFile[];
  readonly totalBytes: number;
  /** Something that is no regular file stands among them: git had better not look. */
  readonly irregular: boolean;
  readonly notices: readonly string[];
}

const packFile = /^(?:pack-[0-9a-f]{40,64}\.(?:pack|idx|rev|bitmap|mtimes|promisor|keep))$/;
const midxFile = /^multi-pack-index(?:-[0-9a-f]{40,64}\.(?:bitmap|rev))?$/;
const looseDir = /^[0-9a-f]{2}$/;
const looseFile = /^(?:[0-9a-f]{38}|[0-9a-f]{62})$/;
const maxAlternates = 16;

/**
 * Lists the objects of a repository: packs, loose objects, and those of its alternates (followed only
 * into object stores of the same user). Only regular files of the names that git gives them.
 *
 * @param uid the calling user
 */
export function objectFiles(commonDir: string, uid: number): ObjectStore {
  const found: Found = { files: new Map(), irregular: false };
  const notices: string[] = [];
  const main = `${commonDir}/objects`;
  const dirs = [main];
  for (let at = 0; at < dirs.length; at++) {
    for (const next of alternatesOf(dirs[at]!)) {
      if (dirs.includes(next)) continue;
      if (dirs.length > maxAlternates || !isObjectStore(next, uid)) {
        notices.push(`Not copied: alternate objects in ${next}: not an object store of yours`);
      } else {
        notices.push(`History is also copied from the alternate objects in ${next}`);
        dirs.push(next);
      }
    }
  }
  if (!isOwnDirectory(main)) {
    notices.push(`Not copied: history: ${main} is not a directory of its own`);
  } else for (const dir of dirs) collect(dir, dir === main && dirs.length === 1, found);
  const files = [...found.files.values()];
  return { files, totalBytes: bytesOf(files), irregular: found.irregular, notices };
}

interface Found {
  readonly files: Map<string, ObjectFile>;
  irregular: boolean;
}

/** The sum of the files' sizes. */
export function bytesOf(files: readonly ObjectFile[]): number {
  return files.reduce((sum, file) => sum + file.size, 0);
}

function collect(dir: string, isOnlyOne: boolean, into: Found): void {
  for (const entry of entriesOf(dir)) {
    if (!entry.isDirectory) {
      if (!entry.isFile) into.irregular = true;
      continue;
    }
    if (looseDir.test(entry.name)) addAll(dir, entry.name, looseFile, into);
    else if (entry.name === "pack") {
      addAll(dir, "pack", packFile, into);
      if (isOnlyOne) addAll(dir, "pack", midxFile, into);
    } else if (entry.name === "info" && isOnlyOne) {
      addAll(dir, "info", /^commit-graph$/, into);
      addAll(
        dir,
        "info/commit-graphs",
        /^(?:commit-graph-chain|graph-[0-9a-f]{40,64}\.graph)$/,
        into,
      );
    }
  }
}

function addAll(dir: string, sub: string, pattern: RegExp, into: Found): void {
  for (const entry of entriesOf(`${dir}/${sub}`)) {
    const name = `${sub}/${entry.name}`;
    if (!entry.isFile && !entry.isDirectory) into.irregular = true;
    if (!entry.isFile || !pattern.test(entry.name) || into.files.has(name)) continue;
    const path = `${dir}/${name}`;
    const info = Deno.lstatSync(path);
    if (!info.isFile) continue;
    const mtimeS = Math.floor((info.mtime?.getTime() ?? 0) / 1000);
    into.files.set(name, { name, path, size: info.size, mtimeS });
  }
}

/** Directories that `objects/info/alternates` names (gitrepository-layout(5)). */
function alternatesOf(dir: string): readonly string[] {
  const path = `${dir}/info/alternates`;
  try {
    const info = Deno.lstatSync(path);
    if (!info.isFile || info.size > 64 * 1024) return [];
    return Deno.readTextFileSync(path).split("\n")
      .filter((line) => line !== "" && !line.startsWith("#") && !line.startsWith('"'))
      .flatMap((line) => realPath(line.startsWith("/") ? line : `${dir}/${line}`));
  } catch {
    return [];
  }
}

function realPath(path: string): readonly string[] {
  try {
    return [Deno.realPathSync(path)];
  } catch {
    return [];
  }
}

function isOwnDirectory(path: string): boolean {
  try {
    return Deno.lstatSync(path).isDirectory;
  } catch {
    return false;
  }
}

function isObjectStore(path: string, uid: number): boolean {
  if (!path.endsWith("/objects")) return false;
  try {
    const info = Deno.lstatSync(path);
    return info.isDirectory && info.uid === uid && Deno.lstatSync(`${path}/pack`).isDirectory;
  } catch {
    return false;
  }
}

function entriesOf(path: string): readonly Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(path)];
  } catch {
    return [];
  }
}
