import { run } from "../../src/process/run.ts";

/**
 * Rewrites the JavaScript files in `dir` without comments, indentation and characters beyond ASCII;
 * names stay. A process keeps its code's text in memory, two bytes for each character when a single
 * one is beyond Latin-1, and a start reads all of it. Files of `except` stay as they are.
 *
 * The tool is the bundler that `deno bundle` itself runs, in `$DENO_DIR` (scripts/setup.sh).
 *
 * @throws Error when the bundler is not there; BangerError when it fails
 */
export async function compact(dir: string, except: (name: string) => boolean): Promise<void> {
  const files: string[] = [];
  for await (const { name } of Deno.readDir(dir)) {
    if (name.endsWith(".js") && !except(name)) files.push(`${dir}/${name}`);
  }
  await run(await findBundler(), [
    ...files,
    "--minify-whitespace",
    "--charset=ascii",
    // Short lines, so that the places in a stack trace still say something.
    "--line-limit=100",
    "--log-level=warning",
    `--outdir=${dir}`,
    "--allow-overwrite",
  ]);
}

async function findBundler(): Promise<string> {
  const text = await Deno.readTextFile(new URL("../toolchain/package.json", import.meta.url));
  const { dependencies } = JSON.parse(text) as { dependencies: Readonly<Record<string, string>> };
  const arch = { x86_64: "x64", aarch64: "arm64" }[Deno.build.arch];
  const version = dependencies["@esbuild/linux-x64"];
  const path = `${Deno.env.get("DENO_DIR")}/dl/esbuild-${version}/esbuild-linux-${arch}`;
  if ((await Deno.stat(path).catch(() => undefined))?.isFile) return path;
  throw new Error(`Cannot find the bundler "${path}": run make setup`);
}
