import { createHash } from "node:crypto";
import type { BuildInfo } from "../../src/version/build_info.ts";
import { compact } from "./compact.ts";
import { deno } from "./deno.ts";
import { joinFiles, type Joint } from "./join_files.ts";

/** The literal in `src/version/build_info.ts` that the build fills; short lines may go through it. */
const slot = new RegExp([...'"@@BANGER_BUILD_INFO@@"'].join("(?:\\\\\n)?"));

/**
 * A module that is bundled for itself, with a copy of all that it imports: a long-lived process loads
 * just what it needs, and not what happens to be in one file with it.
 */
export interface Part {
  /** As the entry imports it, such as `./src/daemon/main.ts`. */
  readonly source: string;
  /** Name of its first file. */
  readonly file: string;
}

/** What to bundle and where to. */
export interface BundleOptions {
  readonly entry: string;
  /** Replaced when the bundle is complete. It starts at `main.js` in it. */
  readonly outDir: string;
  /** Whether each dynamic import becomes a file of its own; otherwise all is in `main.js`. */
  readonly split: boolean;
  /** Files of a split bundle to be joined again, because they are needed together. */
  readonly joints?: readonly Joint[];
  /** What the entry imports dynamically, and shares no code with. */
  readonly parts?: readonly Part[];
  /** Set: files are made small, but for those whose names this accepts. */
  readonly compactExcept?: (name: string) => boolean;
  readonly info: Omit<BuildInfo, "denoVersion" | "build">;
}

/**
 * Bundles `entry` with all that it imports; dynamic imports stay lazily evaluated.
 *
 * @throws Error when a file has more than one place for the build information
 */
export async function bundle(options: BundleOptions): Promise<void> {
  const { entry, outDir, split, joints, parts = [] } = options;
  const newDir = `${outDir}.new`;
  await Deno.remove(newDir, { recursive: true }).catch(ignoreMissing);
  await bundleTo(newDir, entry, split, parts.map(({ source }) => source));
  if (joints !== undefined) await joinFiles(newDir, joints);
  for (const part of parts) await addPart(newDir, entry, part);
  if (options.compactExcept !== undefined) await compact(newDir, options.compactExcept);
  const info = { ...options.info, build: await fingerprint(newDir) };
  await fillSlots(newDir, JSON.stringify(JSON.stringify(info)));
  await Deno.remove(outDir, { recursive: true }).catch(ignoreMissing);
  await Deno.rename(newDir, outDir);
}

async function bundleTo(
  dir: string,
  entry: string,
  split: boolean,
  external: readonly string[] = [],
): Promise<void> {
  await deno([
    "bundle",
    "--quiet",
    "--frozen",
    ...(split ? ["--code-splitting"] : []),
    ...external.map((source) => `--external=${source}`),
    "--outdir",
    dir,
    entry,
  ]);
}

/** Bundles a part into `dir` and makes the entry's bundle import it from there. */
async function addPart(dir: string, entry: string, { source, file }: Part): Promise<void> {
  const partDir = `${dir}/part`;
  const path = new URL(source, `file://${entry}`).pathname;
  await bundleTo(partDir, path, true);
  const first = path.replace(/^.*\/|\.ts$/g, "");
  await Deno.rename(`${partDir}/${first}.js`, `${partDir}/${file}`);
  for await (const { name } of Deno.readDir(partDir)) {
    // Names have a hash of the content in them: what two parts have in common is one file.
    if (await differs(`${dir}/${name}`, `${partDir}/${name}`)) {
      throw new Error(`Cannot bundle "${source}": there is another "${name}" already`);
    }
    await Deno.rename(`${partDir}/${name}`, `${dir}/${name}`);
  }
  await Deno.remove(partDir);
  const main = `${dir}/main.js`;
  const text = await Deno.readTextFile(main);
  const changed = text.replaceAll(`"${source}"`, `"./${file}"`);
  if (changed === text) throw new Error(`Cannot bundle "${source}": "${entry}" does not import it`);
  await Deno.writeTextFile(main, changed);
}

/** Whether there is a file at `path` and its content is not that of `other`. */
async function differs(path: string, other: string): Promise<boolean> {
  const present = await Deno.readTextFile(path).catch(ignoreMissing);
  return present !== undefined && present !== await Deno.readTextFile(other);
}

/** The start of a sha256 over names and contents of the files in `dir`: 64 bits tell builds apart. */
async function fingerprint(dir: string): Promise<string> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(dir)) names.push(name);
  const hash = createHash("sha256");
  for (const name of names.toSorted()) {
    const content = await Deno.readFile(`${dir}/${name}`);
    hash.update(`${name} ${content.length}\n`).update(content);
  }
  return hash.digest("hex").slice(0, 16);
}

async function fillSlots(dir: string, literal: string): Promise<void> {
  for await (const { name } of Deno.readDir(dir)) {
    const parts = (await Deno.readTextFile(`${dir}/${name}`)).split(slot);
    if (parts.length === 1) continue;
    if (parts.length > 2) throw new Error(`Cannot bundle: "${name}" has several build stamps`);
    await Deno.writeTextFile(`${dir}/${name}`, parts.join(literal));
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
