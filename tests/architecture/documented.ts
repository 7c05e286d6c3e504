import type { Rule } from "./rule.ts";
import type { SourceFile } from "./source_file.ts";

function textOf(files: readonly SourceFile[], wanted: string): string {
  return files.find(({ path }) => path === wanted)?.text ?? "";
}

/** The names that `document` must have in backquotes and has not. */
function missingIn(
  files: readonly SourceFile[],
  document: string,
  names: readonly string[],
): string[] {
  const text = textOf(files, document);
  return names.filter((name) => !text.includes(`\`${name}\``))
    .map((name) => `${document} does not name ${name}`);
}

function keysOf(json: string, key: "imports" | "dependencies"): string[] {
  if (json === "") return [];
  const value = (JSON.parse(json) as Record<string, Record<string, string> | undefined>)[key];
  return Object.keys(value ?? {});
}

function debianPackages(setup: string): string[] {
  const list = /packages=\(([^)]*)\)/.exec(setup)?.[1] ?? "";
  return list.split(/\s+/).filter((name) => name !== "");
}

/** What banger needs from elsewhere is accounted for. */
export const documentedDependencies: Rule = {
  name: "docs/dependencies.md names every dependency",
  reason: "each dependency has a purpose that somebody wrote down",
  violations: (files) =>
    missingIn(files, "docs/dependencies.md", [
      ...keysOf(textOf(files, "deno.json"), "imports"),
      ...keysOf(textOf(files, "scripts/toolchain/package.json"), "dependencies"),
      ...debianPackages(textOf(files, "scripts/setup.sh")),
    ]),
  broken: [
    { path: "deno.json", text: '{ "imports": { "left-pad": "npm:left-pad@1" } }' },
    { path: "scripts/setup.sh", text: "readonly packages=(sl\n  cowsay)" },
  ],
};

/** Every folder of `src` has a place in the map. */
export const documentedFolders: Rule = {
  name: "docs/where-code-goes.md names every folder of src",
  reason: "a folder that nobody can place attracts whatever fits nowhere",
  violations: (files) => {
    const folders = files.flatMap(({ path }) => /^src\/([^/]+)\//.exec(path)?.[1] ?? []);
    return missingIn(files, "docs/where-code-goes.md", [...new Set(folders)]);
  },
  broken: [{ path: "src/extras/x.ts", text: "" }],
};
