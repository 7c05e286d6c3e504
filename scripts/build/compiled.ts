import { runFlags } from "../../src/version/run_flags.ts";
import { deno } from "./deno.ts";

/** What `deno compile` makes an executable of. */
export interface CompiledOptions {
  readonly out: string;
  /** Directory of the bundle; it starts at `main.js` and all its files are embedded. */
  readonly bundleDir: string;
  /** The base binary (`denort`). */
  readonly denortBin: string;
  /** A Rust target triple; this machine's when left out. */
  readonly target?: string;
}

/** Compiles a bundle to an executable with the flags that every kind of build runs with. */
export async function compiled(options: CompiledOptions): Promise<void> {
  const target = options.target === undefined ? [] : ["--target", options.target];
  const temporary = `${options.out}.new`;
  await deno([
    "compile",
    "--quiet",
    ...runFlags,
    "--app-name",
    "banger",
    "--include",
    options.bundleDir,
    ...target,
    "--output",
    temporary,
    `${options.bundleDir}/main.js`,
  ], { DENORT_BIN: options.denortBin });
  await Deno.rename(temporary, options.out);
}
