import { fromBytes } from "./byte_text.ts";
import { isRefName } from "./ref_name.ts";

/** Refs of a repository; names with one character a byte. */
export interface Refs {
  /** Object ids by full name. */
  readonly direct: ReadonlyMap<string, string>;
  /** Names by full name, such as `refs/remotes/origin/HEAD`. */
  readonly symbolic: ReadonlyMap<string, string>;
  readonly notices: readonly string[];
}

const objectId = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
const maxPackedBytes = 512 * 1024 * 1024;
const maxLooseRefs = 500_000;
const maxLooseBytes = 4096;

/**
 * Reads the refs of a common directory itself, packed and loose (gitrepository-layout(5)): git would
 * read the repository's configuration to do it. What is no well-formed ref is left out.
 */
export function readRefs(commonDir: string): Refs {
  const direct = new Map<string, string>();
  const symbolic = new Map<string, string>();
  const notices: string[] = [];
  for (const line of packedLines(commonDir)) {
    const id = line.slice(0, line.indexOf(" "));
    const name = line.slice(id.length + 1);
    if (objectId.test(id) && isShared(name)) direct.set(name, id);
  }
  let count = 0;
  for (const { name, text } of looseRefs(commonDir, "refs", notices)) {
    count += 1;
    if (count > maxLooseRefs) break;
    const target = /^ref: (\S+)$/.exec(text)?.[1];
    if (!isShared(name)) continue;
    if (target !== undefined && isRefName(target)) {
      symbolic.set(name, target);
      direct.delete(name);
    } else if (objectId.test(text)) direct.set(name, text);
  }
  return { direct, symbolic, notices };
}

/** Refs of one work tree only (bisection, `refs/worktree`) stay behind. */
function isShared(name: string): boolean {
  return isRefName(name) && !/^refs\/(bisect|worktree|rewritten)\//.test(name);
}

function packedLines(commonDir: string): readonly string[] {
  const path = `${commonDir}/packed-refs`;
  try {
    const info = Deno.lstatSync(path);
    if (!info.isFile || info.size > maxPackedBytes) return [];
    return fromBytes(Deno.readFileSync(path)).split("\n").filter((line) => !/^[#^]|^$/.test(line));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function* looseRefs(
  commonDir: string,
  dir: string,
  notices: string[],
): Generator<{ readonly name: string; readonly text: string }> {
  for (const entry of entriesOf(`${commonDir}/${dir}`)) {
    const name = `${dir}/${entry.name}`;
    if (entry.name.includes("\ufffd")) {
      notices.push(`Not copied: a ref below ${dir} whose name is not UTF-8`);
    } else if (entry.isDirectory) {
      if (name.split("/").length < 40) yield* looseRefs(commonDir, name, notices);
    } else if (entry.isFile) {
      const path = `${commonDir}/${name}`;
      if (Deno.lstatSync(path).size > maxLooseBytes) continue;
      const encoded = new TextEncoder().encode(name);
      yield { name: fromBytes(encoded), text: fromBytes(Deno.readFileSync(path)).trim() };
    }
  }
}

function entriesOf(path: string): readonly Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(path)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return [];
    }
    throw error;
  }
}
