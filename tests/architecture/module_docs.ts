import type { Rule } from "./rule.ts";
import { isShipped, type SourceFile } from "./source_file.ts";

/** A comment on top of the file that says what the folder must not do, or what alone it imports. */
function hasModuleDoc({ text }: SourceFile): boolean {
  const comment = /^\/\*\*[\s\S]*?\*\//.exec(text)?.[0] ?? "";
  const words = comment.replace(/\s*\n \* ?/g, " ");
  return /must not|imports? (only|nothing)/i.test(words);
}

/** Every folder tells its purpose. */
export const moduleDocs: Rule = {
  name: "every folder has a file that starts with the folder's module doc",
  reason: "it tells purpose, what the folder owns, and what it must not import",
  violations: (files) => {
    const folders = Map.groupBy(
      files.filter((file) => isShipped(file) && file.path !== "main.ts"),
      ({ path }) => path.replace(/\/[^/]*$/, ""),
    );
    return [...folders].filter(([, members]) => !members.some(hasModuleDoc))
      .map(([folder]) => `${folder} has none that says what it must not import`);
  },
  broken: [{ path: "src/vmm/qemu.ts", text: "/** Starts QEMU. */\nexport function start() {}\n" }],
};
