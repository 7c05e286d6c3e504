import type { Rule } from "./rule.ts";

/** What the documents tell to type exists. */
export const makeTargets: Rule = {
  name: "the make targets that the documents name exist",
  reason: "a command that does not work is worse than none",
  violations: (files) => {
    const makefile = files.find(({ path }) => path === "Makefile")?.text ?? "";
    const targets = new Set([...makefile.matchAll(/^([a-z-]+):/gm)].map(([, name]) => name));
    return files.filter(({ path }) => path.endsWith(".md")).flatMap(({ path, text }) =>
      [...text.matchAll(/(?:`|^\s*|&& )make ([a-z-]+)/gm)]
        .filter(([, target]) => !targets.has(target))
        .map(([, target]) => `${path} names make ${target}`)
    );
  },
  broken: [
    { path: "Makefile", text: "build: setup\n" },
    { path: "README.md", text: "Run `make everything`.\n" },
  ],
};
