import { importsOf } from "./imports.ts";
import type { Rule } from "./rule.ts";
import { isTest } from "./source_file.ts";

/** The rank of every folder of `src`: a file imports only lower ranks or its own folder. */
const ranks: Readonly<Record<string, number>> = {
  ...rank(0, "model"),
  ...rank(1, "wire net disk files process paths log sync transport config version"),
  ...rank(2, "api catalog debian ext4"),
  ...rank(3, "client privileged vmm oci layers bundles kernels images store guest"),
  ...rank(3, "repository doctor"),
  ...rank(4, "services"),
  ...rank(5, "capabilities"),
  ...rank(6, "cli daemon flattener helper netfilter"),
};
const mainRank = 7;

function rank(value: number, folders: string): Record<string, number> {
  return Object.fromEntries(folders.split(" ").map((folder) => [folder, value]));
}

/** The folder of `src` that a path is in; `main` for `main.ts`. */
function folderOf(path: string): string | undefined {
  if (path === "main.ts") return "main";
  return /^src\/([^/]+)\//.exec(path)?.[1];
}

function rankOf(folder: string): number | undefined {
  return folder === "main" ? mainRank : ranks[folder];
}

function whyForbidden(from: string, to: string): string | undefined {
  const [own, other] = [folderOf(from), folderOf(to)];
  if (own === undefined || own === other) return undefined;
  if (isTest(from) && to.startsWith("tests/")) return undefined;
  if (other === undefined) return "it is outside src";
  const [ownRank, otherRank] = [rankOf(own), rankOf(other)];
  if (ownRank === undefined) return `the folder "${own}" has no rank`;
  if (otherRank === undefined) return `the folder "${other}" has no rank`;
  if (otherRank < ownRank) return undefined;
  return `${own} has rank ${ownRank}, ${other} has rank ${otherRank}`;
}

/** The ranks between the folders of `src`. */
export const importRanks: Rule = {
  name: "a file imports only lower ranks or its own folder, types too",
  reason: "folders without cycles can be understood, tested and replaced one at a time",
  violations: (files) =>
    files.filter(({ path }) => path.endsWith(".ts") && folderOf(path) !== undefined)
      .flatMap((file) =>
        importsOf(file).flatMap(({ from, to, isLocal }) => {
          const why = isLocal ? whyForbidden(from, to) : undefined;
          return why === undefined ? [] : [`${from} imports ${to}: ${why}`];
        })
      ),
  broken: [
    { path: "src/model/ids.ts", text: 'import type { Row } from "../store/row.ts";' },
    { path: "src/net/tap.ts", text: 'export { run } from "../process/run.ts";' },
    { path: "src/extras/x.ts", text: 'const m = await import("../model/ids.ts");' },
  ],
};
