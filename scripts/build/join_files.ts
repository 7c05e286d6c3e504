import { deno } from "./deno.ts";

/** Files of a split bundle that are needed together. */
export interface Joint {
  /** Name of the file that takes their place, without `.js`. */
  readonly name: string;
  /** Source files, such as `src/cli/run_command.ts`, that are entries of files of their own. */
  readonly entries: readonly string[];
}

/**
 * Puts the files of each joint, with all that they statically import, into one file: the bundler
 * splits by who shares what, which for a plain command makes dozens of small files, and each costs
 * a start 0.2 ms. What `main.js` itself and earlier joints load stays as it is.
 *
 * @throws Error when the bundle is not of the form that this knows
 */
export async function joinFiles(dir: string, joints: readonly Joint[]): Promise<void> {
  const loaded = new Set(staticImports(await readFiles(dir), ["main.js"], new Set()));
  for (const { name, entries } of joints) {
    const files = await readFiles(dir);
    const roots = entries.map((entry) => fileOf(files, entry));
    const joined = staticImports(files, roots, loaded);
    checkExports(files, joined);
    await writeJoint(dir, `${name}.js`, files, joined);
    loaded.add(`${name}.js`);
  }
}

type Files = ReadonlyMap<string, string>;

async function readFiles(dir: string): Promise<Files> {
  const files = new Map<string, string>();
  for await (const { name } of Deno.readDir(dir)) {
    files.set(name, await Deno.readTextFile(`${dir}/${name}`));
  }
  return files;
}

/** The file that begins its last part with `source`, as the bundler's comment tells. */
function fileOf(files: Files, source: string): string {
  const found = [...files].filter(([, text]) => `\n${text}`.includes(`\n// ${source}\n`));
  const [name] = found[0] ?? [];
  if (name !== undefined && found.length === 1) return name;
  throw new Error(`Cannot join files: "${source}" is in ${found.length} files`);
}

/** `roots` and all that they statically import, but for `besides`. */
function staticImports(
  files: Files,
  roots: readonly string[],
  besides: ReadonlySet<string>,
): string[] {
  const found = new Set<string>();
  const todo = [...roots];
  for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
    if (found.has(name) || besides.has(name)) continue;
    found.add(name);
    const text = files.get(name);
    if (text === undefined) throw new Error(`Cannot join files: there is no "${name}"`);
    for (const [, from = ""] of text.matchAll(/^(?:import|\} from) "\.\/([^"]+)";$/gm)) {
      todo.push(from);
    }
  }
  return [...found].toSorted();
}

/** Of a name that two files export, `export *` would export neither. */
function checkExports(files: Files, joined: readonly string[]): void {
  const names = joined.flatMap((name) => {
    const [, list = ""] = /^export \{([^}]*)\};$/m.exec(files.get(name) ?? "") ?? [];
    return list.split(",").map((item) => item.trim().replace(/^.* as /s, "")).filter(Boolean);
  });
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`Cannot join files: two export "${twice}"`);
}

async function writeJoint(
  dir: string,
  name: string,
  files: Files,
  joined: readonly string[],
): Promise<void> {
  const path = `${dir}/${name}`;
  await Deno.writeTextFile(path, joined.map((file) => `export * from "./${file}";\n`).join(""));
  const others = [...files.keys()].filter((file) => !joined.includes(file));
  await deno([
    "bundle",
    "--quiet",
    "--no-config",
    ...others.map((file) => `--external=./${file}`),
    "--output",
    `${path}.new`,
    path,
  ]);
  await Deno.rename(`${path}.new`, path);
  for (const file of joined) await Deno.remove(`${dir}/${file}`);
  for (const file of [...others, name]) {
    const text = await Deno.readTextFile(`${dir}/${file}`);
    const changed = text.replace(
      /"\.\/([^"\n]+)"/g,
      (quoted, from: string) => joined.includes(from) ? `"./${name}"` : quoted,
    );
    if (changed !== text) await Deno.writeTextFile(`${dir}/${file}`, changed);
  }
}
