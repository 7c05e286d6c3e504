import { createHash } from "node:crypto";
import type { BuildInfo } from "../../src/version/build_info.ts";
import { deno } from "./deno.ts";

/** The literal in `src/version/build_info.ts` that the build fills. */
const slot = '"@@BANGER_BUILD_INFO@@"';

/** What to bundle and where to. */
export interface BundleOptions {
  readonly entry: string;
  /** Replaced when the bundle is complete. It starts at `main.js` in it. */
  readonly outDir: string;
  /** Whether each dynamic import becomes a file of its own; otherwise all is in `main.js`. */
  readonly split: boolean;
  readonly info: Omit<BuildInfo, "denoVersion" | "build">;
}

/**
 * Bundles `entry` with all that it imports; dynamic imports stay lazily evaluated.
 *
 * @throws Error when the build information has no or more than one place to go to.
 */
export async function bundle(options: BundleOptions): Promise<void> {
  const newDir = `${options.outDir}.new`;
  await Deno.remove(newDir, { recursive: true }).catch(ignoreMissing);
  await deno([
    "bundle",
    "--quiet",
    "--frozen",
    ...(options.split ? ["--code-splitting"] : []),
    "--outdir",
    newDir,
    options.entry,
  ]);
  const info = { ...options.info, build: await fingerprint(newDir) };
  const filled = await fillSlot(newDir, JSON.stringify(JSON.stringify(info)));
  if (filled > 1) throw new Error(`Cannot bundle "${options.entry}": ${filled} build stamps`);
  await Deno.remove(options.outDir, { recursive: true }).catch(ignoreMissing);
  await Deno.rename(newDir, options.outDir);
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

async function fillSlot(dir: string, literal: string): Promise<number> {
  let filled = 0;
  for await (const file of Deno.readDir(dir)) {
    const path = `${dir}/${file.name}`;
    const parts = (await Deno.readTextFile(path)).split(slot);
    if (parts.length === 1) continue;
    filled += parts.length - 1;
    await Deno.writeTextFile(path, parts.join(literal));
  }
  return filled;
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
