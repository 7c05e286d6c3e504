import { isBangerError } from "../model/errors.ts";
import type { HostGit } from "./host_git.ts";
import { bytesOf, type ObjectFile, type ObjectStore } from "./object_files.ts";

/** From so many loose objects on, making a pack is quicker than making so many files in a guest. */
const fewestLoose = 64;
const timeoutMs = 60_000;
const looseName = /^([0-9a-f]{2})\/([0-9a-f]+)$/;

/**
 * The same objects with the loose ones in a pack in `dir`, when there are many. When git cannot
 * make that pack the loose ones are taken as they are.
 *
 * @param env makes git work on a configuration of banger's and on the repository's objects
 */
export async function packLooseObjects(
  git: HostGit,
  store: ObjectStore,
  dir: string,
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<ObjectStore> {
  const ids = store.files.flatMap(({ name }) => looseName.exec(name)?.slice(1).join("") ?? []);
  if (ids.length < fewestLoose || store.irregular) return store;
  try {
    // No deltas: finding them costs more than sending what they would save.
    const args = ["-c", "pack.threads=1", "pack-objects", "--quiet", "--window=0", `${dir}/pack`];
    const stdin = new TextEncoder().encode(ids.map((id) => `${id}\n`).join(""));
    await git.call(args, { cwd: "/", env, stdin, signal, timeoutMs });
  } catch (error) {
    if (isBangerError(error, "cancelled")) throw error;
    return store;
  }
  const others = store.files.filter(({ name }) => !looseName.test(name));
  const files = [...others, ...await packsIn(dir)];
  return { ...store, files, totalBytes: bytesOf(files) };
}

async function packsIn(dir: string): Promise<readonly ObjectFile[]> {
  const packs: ObjectFile[] = [];
  for await (const { name } of Deno.readDir(dir)) {
    if (!/^pack-[0-9a-f]{40,64}\.(pack|idx|rev)$/.test(name)) continue;
    const path = `${dir}/${name}`;
    const { size, mtime } = await Deno.lstat(path);
    const mtimeS = Math.floor((mtime?.getTime() ?? 0) / 1000);
    packs.push({ name: `pack/${name}`, path, size, mtimeS });
  }
  return packs;
}
