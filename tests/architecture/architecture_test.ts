import assert from "node:assert/strict";
import { documentedDependencies, documentedFolders } from "./documented.ts";
import { fileSize, medianFileSize } from "./file_size.ts";
import { forbiddenCode } from "./forbidden_code.ts";
import { foreignNames } from "./foreign_names.ts";
import { importLimits } from "./import_limits.ts";
import { importRanks } from "./import_ranks.ts";
import { makeTargets } from "./make_targets.ts";
import { moduleDocs } from "./module_docs.ts";
import type { Rule } from "./rule.ts";
import { readProject } from "./source_file.ts";

const rules: readonly Rule[] = [
  importRanks,
  ...importLimits,
  ...forbiddenCode,
  fileSize,
  medianFileSize,
  moduleDocs,
  makeTargets,
  documentedDependencies,
  documentedFolders,
  foreignNames,
];

const project = await readProject(new URL("../..", import.meta.url).pathname);

for (const rule of rules) {
  Deno.test(`architecture: ${rule.name}`, () => {
    const found = rule.violations(project);
    assert.deepEqual(found, [], `${rule.reason}\n${found.join("\n")}`);
  });

  Deno.test(`architecture: it is found out when broken: ${rule.name}`, () => {
    for (const file of rule.broken) {
      if (file.path === "Makefile") continue;
      const others = rule.broken.filter(({ path }) => path === "Makefile");
      assert.notDeepEqual(rule.violations([...others, file]), [], file.path);
    }
  });
}

Deno.test("architecture: the tree was really read", () => {
  const paths = project.map(({ path }) => path);
  for (const path of ["main.ts", "Makefile", "agent/main.ts", "src/process/run.ts"]) {
    assert.ok(paths.includes(path), path);
  }
});
