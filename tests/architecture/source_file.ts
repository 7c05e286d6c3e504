/**
 * The rules that hold between banger's files, checked on their text.
 *
 * Owns: reading the tree, one file per rule, and the test that runs them all. Each rule carries its
 * reason and an example that breaks it. Must not import anything of `src`: it only reads it.
 */

/** A file of the project. */
export interface SourceFile {
  /** Relative to the project, for example `src/model/ids.ts`. */
  readonly path: string;
  readonly text: string;
}

const ignored = new Set([".git", ".tools", "build", "coverage", "node_modules"]);
const binary = /\.(png|gif|gz|xz|zst|deb|gpg|pgp|ext4|img)$/;

/** Reads every text file of the project below `root`. */
export async function readProject(root: string, below = ""): Promise<SourceFile[]> {
  const files: SourceFile[] = [];
  for await (const entry of Deno.readDir(root + below)) {
    const path = below + entry.name;
    if (ignored.has(entry.name) || binary.test(entry.name)) continue;
    if (entry.isDirectory) files.push(...await readProject(root, `${path}/`));
    else if (entry.isFile) files.push({ path, text: await Deno.readTextFile(root + path) });
  }
  return files;
}

/** Whether it is code that ships: TypeScript below `src` or `agent`, or `main.ts`, and no test. */
export function isShipped({ path }: SourceFile): boolean {
  return /^(src\/|agent\/|main\.ts$)/.test(path) && path.endsWith(".ts") && !isTest(path);
}

/** Whether a path is a test, or something that only tests use. */
export function isTest(path: string): boolean {
  return path.endsWith("_test.ts") || path.startsWith("tests/") || path.includes("/testdata/");
}

/** The text without comments, with strings kept; lines stay where they are. */
export function codeOf(text: string): string {
  const tokens = /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g;
  return text.replace(
    tokens,
    (token, literal: string | undefined) => literal ?? token.replace(/[^\n]/g, " "),
  );
}
